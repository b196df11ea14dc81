// quant::parse_config: the JSON file of --quant-config.
#include "core/error.h"
#include "quant/config.h"
#include "tests/fuzz/target.h"

bool octet::fuzz::accepts(std::string_view bytes) {
  try {
    const quant::QuantConfig config = quant::parse_config(std::string(bytes));
    const std::string text = quant::to_json(config);
    if (quant::to_json(quant::parse_config(text)) != text) found("to_json and parse_config do not agree");
    return true;
  } catch (const Error&) {
    return false;
  }
}
