#include "quant/observers/sawb.h"

#include <bit>

#include "core/error.h"

namespace octet::quant {
namespace {

constexpr SawbFactors kFactors[] = {{2.534, 1.613},   {6.939, 6.300},   {11.832, 11.869}, {16.939, 17.824},
                                    {22.139, 23.952}, {27.572, 30.394}, {33.115, 36.993}};  // 2 to 8 bits

}  // namespace

SawbFactors sawb_factors(std::int32_t hi) {
  const auto codes = static_cast<std::uint32_t>(hi) + 1;
  OCTET_CHECK(hi >= 1 && hi <= 127 && std::has_single_bit(codes), "sawb", "{} is no largest code of 2 to 8 bits", hi);
  return kFactors[std::countr_zero(codes) - 1];
}

}  // namespace octet::quant
