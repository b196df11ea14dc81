// What the programs of the course share (docs/course/README.md).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/chart/charts.h"
#include "core/quant_params.h"

namespace octet::lesson {

/// The main() of a lesson: `teach` prints what it found and returns its picture, which is written where -o FILE.svg
/// says. Exit code 0; 1 when something failed, 2 when the words are wrong, with one line on stderr.
int run(int argc, char** argv, chart::Svg (*teach)());

/// `count` numbers of a normal distribution, mean 0; a function of sigma and stream, on every machine.
std::vector<float> normals(std::size_t count, double sigma, std::uint64_t stream);

/// √(mean of (b − a)²).
double rms_error(std::span<const float> a, std::span<const float> b);
/// Of the values against what a grid of one step leaves of them.
double rms_error(std::span<const float> values, const QuantParams& grid);

}  // namespace octet::lesson
