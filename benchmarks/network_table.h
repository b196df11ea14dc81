// --network: the whole MobileNetV1 layer by layer, from measured rows.
#pragma once
#include "benchmarks/network_plan.h"
#include "benchmarks/sheet.h"

namespace octet::bench {

/// A line per part, sums per kind of layer and per stage, shares of the training step (of the stage itself for integer
/// forwards), and the figures that bars are set on.
Sheet network_sheet(const std::vector<Part>& parts, const std::vector<Result>& results, const Peaks& peaks,
                    std::int64_t batch);

}  // namespace octet::bench
