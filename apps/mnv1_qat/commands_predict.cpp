// predict: the likeliest classes of picture files.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/guesses.h"
#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/pictures.h"
#include "apps/mnv1_qat/report.h"
#include "core/error.h"
#include "data/transform.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kBatch = 256, kGuesses = 5;

struct Answer {
  std::string picture, error;  ///< why it cannot be read, or empty
  std::vector<Guess> best;
};

void answer(const Predictor& predictor, std::span<Answer> answers) {
  std::vector<Answer*> of_row;
  Tensor pictures({static_cast<std::int64_t>(answers.size()), kPicture[1], kPicture[2], kPicture[3]}, DType::u8);
  std::int64_t count = 0;
  for (Answer& one : answers) {
    try {
      pictures.slice(count, count + 1).copy_from(read_pictures({one.picture}));
    } catch (const Error& error) {
      one.error = error.what();
      continue;
    }
    of_row.push_back(&one), ++count;
  }
  if (count == 0) return;
  const Tensor logits = predictor.predict(data::normalise(pictures.slice(0, count)));
  auto guesses = likeliest(logits, predictor.class_names, kGuesses);
  OCTET_CHECK(guesses.size() == of_row.size(), "predict", "{} rows of logits for {} pictures", guesses.size(), count);
  for (std::size_t i = 0; i < of_row.size(); ++i) of_row[i]->best = std::move(guesses[i]);
}

Json to_json(const Answer& one) {
  if (!one.error.empty()) return {{"picture", one.picture}, {"error", one.error}};
  Json item{{"picture", one.picture}, {"top5", Json::array()}};
  for (const Guess& guess : one.best)
    item["top5"].push_back({{"class", guess.name}, {"probability", guess.probability}});
  return item;
}

std::string text_of(const Answer& one) {
  std::string text = one.picture + ":";
  for (const Guess& guess : one.best) text += fmt::format("  {} {:.1f} %", guess.name, 100 * guess.probability);
  return text + "\n";
}

}  // namespace

void predict(const Options& options) {
  const Predictor predictor = load_predictor(options.model, options.device);
  std::vector<Answer> answers;
  for (std::string& file : picture_files(options.pictures)) answers.push_back({std::move(file), {}, {}});
  for (std::size_t begin = 0; begin < answers.size(); begin += kBatch)
    answer(predictor, std::span(answers).subspan(begin, std::min(kBatch, answers.size() - begin)));
  Json all = Json::array();
  std::string text;
  std::vector<const Answer*> unread;
  for (const Answer& one : answers) {
    if (options.json)
      all.push_back(to_json(one));
    else if (one.error.empty())
      text += text_of(one);
    if (!one.error.empty()) unread.push_back(&one);
  }
  print_out(options.json ? json_text(all) : text);
  if (unread.size() == 1) throw Error(unread[0]->error);
  if (unread.empty()) return;
  std::string names;
  for (const Answer* one : unread) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", one->picture);
  fail("predict", fmt::format("{} of {} pictures cannot be read: {}", unread.size(), answers.size(), names),
       "--json says of each why");
}

}  // namespace octet::app
