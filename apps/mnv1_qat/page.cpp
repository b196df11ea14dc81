#include "apps/mnv1_qat/page.h"

#include <fmt/format.h>

#include "data/png.h"

namespace octet::app {

using chart::escaped;

namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--paper:#ffffff;--ink:#1d2126;--faint:#5d6670;--line:#d8dde2;--warn:#b3541e}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#dde2e7;--faint:#98a2ad;--line:#333a42;--warn:#f0a070}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
h1{font-size:1.6rem;margin:.4em 0 0}h2{font-size:1.2rem;margin:2em 0 .5em;border-bottom:1px solid var(--line);padding-bottom:.2em}
.sub{color:var(--faint);margin:.2em 0 1em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem}
th,td{padding:.25em .7em;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}.row>*{flex:1 1 300px;max-width:100%}
.small>*{flex:0 0 auto}
figure{margin:0;text-align:center;font-size:.8rem;color:var(--faint)}figure img{display:block;margin:0 auto .2em}
img{image-rendering:pixelated;max-width:100%}
details{border:1px solid var(--line);border-radius:.4em;margin:.4em 0;padding:.3em .7em}summary{cursor:pointer}
li{margin:.25em 0}.warn li{color:var(--warn)}
)";

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const auto byte = [&](std::size_t k) { return k < left ? static_cast<unsigned char>(bytes[i + k]) : 0u; };
    const unsigned group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t k = 0; k < 4; ++k) text += k <= left ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace

std::string picture_html(const Tensor& picture, int scale, const std::string& words) {
  return fmt::format("<img width=\"{}\" height=\"{}\" alt=\"{}\" title=\"{}\" src=\"data:image/png;base64,{}\">",
                     picture.shape()[1] * scale, picture.shape()[0] * scale, escaped(words), escaped(words),
                     base64(data::encode_png(picture)));
}

Page::Page(const std::string& title, const std::string& subtitle)
    : title_(title), body_(fmt::format("<h1>{}</h1>\n<p class=\"sub\">{}</p>\n", escaped(title), escaped(subtitle))) {}

void Page::section(const std::string& heading) { body_ += fmt::format("<h2>{}</h2>\n", escaped(heading)); }
void Page::paragraph(const std::string& text) { body_ += fmt::format("<p>{}</p>\n", escaped(text)); }

void Page::list(const std::vector<std::string>& items) {
  body_ += "<ul class=\"warn\">\n";
  for (const std::string& item : items) body_ += fmt::format("<li>{}</li>\n", escaped(item));
  body_ += "</ul>\n";
}

void Page::drawing(const chart::Svg& svg) { body_ += svg.inline_text(); }

void Page::row(const std::vector<std::string>& htmls) {
  body_ += "<div class=\"row\">\n";
  for (const std::string& html : htmls) body_ += "<div>" + html + "</div>\n";
  body_ += "</div>\n";
}

void Page::fold(const std::string& summary, const std::string& html) {
  body_ += fmt::format("<details><summary>{}</summary>\n{}</details>\n", escaped(summary), html);
}

void Page::table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  body_ += "<div class=\"wide\"><table>\n<tr>";
  for (const std::string& cell : head) body_ += "<th>" + cell + "</th>";
  body_ += "</tr>\n";
  for (const auto& row : rows) {
    body_ += "<tr>";
    for (const std::string& cell : row) body_ += "<td>" + cell + "</td>";
    body_ += "</tr>\n";
  }
  body_ += "</table></div>\n";
}

std::string Page::str() const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escaped(title_), kStyle, body_);
}

}  // namespace octet::app
