// The padded lines of gemm_work.h, of any Operand. Included by a file that has defined Operand and
// convert<Signed>(codes, count, out), which makes Operands of codes.
namespace octet::kernels {
namespace {

/// One padded line: z_x, the codes of a source line, z_x.
template <bool Signed>
void pad_line(const ConvGeometry& g, const std::uint8_t* line, Operand padding, std::int64_t elements, Operand* out) {
  const std::int64_t width = (g.out_w() - 1) * g.stride_w + g.s;
  const std::int64_t left = g.pad_w < width ? g.pad_w : width, inside = width - left < g.w ? width - left : g.w;
  std::int64_t i = 0;
  for (; i < left * g.c; ++i) out[i] = padding;
  convert<Signed>(line, inside * g.c, out + i);
  for (i += inside * g.c; i < elements; ++i) out[i] = padding;
}

/// The lines under the windows of a block.
template <bool Signed>
void pad_lines(const IntConvProblem& problem, const GemmWork& work, const GemmBlock& block, const void* src,
               Operand* out) {
  const ConvGeometry& g = problem.geometry;
  const auto* codes = static_cast<const std::uint8_t*>(src) + block.picture * g.h * g.w * g.c;
  const auto padding = static_cast<Operand>(problem.z_x);
  const std::int64_t top = block.line * g.stride_h - g.pad_h, lines = (block.lines - 1) * g.stride_h + g.r;
  for (std::int64_t picture = 0; picture < block.pictures; ++picture, codes += g.h * g.w * g.c) {
    Operand* to = out + picture * work.padded_lines * work.line_elements;
    for (std::int64_t y = top; y < top + lines; ++y, to += work.line_elements) {
      if (y >= 0 && y < g.h) {
        pad_line<Signed>(g, codes + y * g.w * g.c, padding, work.line_elements, to);
      } else {
        for (std::int64_t i = 0; i < work.line_elements; ++i) to[i] = padding;
      }
    }
  }
}

}  // namespace
}  // namespace octet::kernels
