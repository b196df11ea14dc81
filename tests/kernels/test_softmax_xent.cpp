// Softmax and cross-entropy against long double, gradients against finite differences, extremes, threads.
#include "kernels/softmax_xent/softmax_xent.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using namespace hostile;

template <class T>
struct Step {
  std::vector<T> probabilities, d_logits;
  T loss = 0;
};

template <class T>
Step<T> step(const char* dtypes, const SoftmaxXentProblem& p, const std::vector<T>& logits,
             const std::vector<std::int32_t>& labels, T d_loss = 1) {
  Step<T> s;
  s.probabilities.resize(logits.size());
  s.d_logits.resize(logits.size());
  const SoftmaxXentPointers x{logits.data(), labels.data(), s.probabilities.data(),
                              &s.loss,       &d_loss,       s.d_logits.data()};
  dispatch(softmax_xent_rows(), "softmax_xent_fwd", dtypes, p, x);
  dispatch(softmax_xent_rows(), "softmax_xent_bwd", dtypes, p, x);
  return s;
}

std::vector<std::int32_t> labels_of(const SoftmaxXentProblem& p) {
  Random random(9, Purpose::test);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(p.pictures));
  for (auto& l : labels) l = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(p.classes)));
  return labels;
}

template <class T>
void check_formula(const char* dtypes, const SoftmaxXentProblem& p, double tolerance) {
  SCOPED_TRACE(p.str());
  const std::vector<T> logits = random_values<T>(p.pictures * p.classes, 1, -20, 20);
  const auto labels = labels_of(p);
  const Step<T> s = step<T>(dtypes, p, logits, labels, T(2));
  long double loss = 0;
  for (std::int64_t i = 0; i < p.pictures; ++i) {
    const T* x = logits.data() + i * p.classes;
    long double sum = 0;
    for (std::int64_t j = 0; j < p.classes; ++j) sum += std::exp(static_cast<long double>(x[j]));
    for (std::int64_t j = 0; j < p.classes; ++j) {
      const long double probability = std::exp(static_cast<long double>(x[j])) / sum;
      const long double target = p.label_smoothing / static_cast<long double>(p.classes) +
                                 (j == labels[static_cast<std::size_t>(i)] ? 1 - p.label_smoothing : 0);
      loss -= target * (static_cast<long double>(x[j]) - std::log(sum));
      const auto at = static_cast<std::size_t>(i * p.classes + j);
      EXPECT_NEAR(s.probabilities[at], static_cast<double>(probability), tolerance);
      EXPECT_NEAR(s.d_logits[at], static_cast<double>((probability - target) * 2 / p.pictures), tolerance);
    }
  }
  EXPECT_NEAR(s.loss, static_cast<double>(loss / p.pictures), tolerance * 50);
}

TEST(SoftmaxXent, FollowsItsFormula) {
  for (double smoothing : {0.0, 0.1}) {
    for (std::int64_t pictures : {1, 3, 70}) {
      for (std::int64_t classes : {1, 2, 10, 100}) {
        check_formula<float>("f32", {pictures, classes, smoothing}, 2e-7);
        check_formula<double>("f64", {pictures, classes, smoothing}, 1e-15 * 4);
      }
    }
  }
}

TEST(SoftmaxXent, GradientIsTheSlopeOfTheLoss) {
  for (double smoothing : {0.0, 0.2}) {
    const SoftmaxXentProblem p{4, 5, smoothing};
    std::vector<double> logits = random_values<double>(20, 2, -2, 2);
    const auto labels = labels_of(p);
    const Step<double> s = step<double>("f64", p, logits, labels);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double at = logits[i], h = 1e-5;
      logits[i] = at + h;
      const double above = step<double>("f64", p, logits, labels).loss;
      logits[i] = at - h;
      const double below = step<double>("f64", p, logits, labels).loss;
      logits[i] = at;
      EXPECT_NEAR(s.d_logits[i], (above - below) / (2 * h), 1e-9);
    }
  }
}

TEST(SoftmaxXent, LargeLogitsStayFinite) {
  const Step<float> sure = step<float>("f32", {1, 3}, {3e38f, -3e38f, 0}, {0});
  EXPECT_EQ(sure.loss, 0);
  EXPECT_EQ(sure.probabilities, (std::vector<float>{1, 0, 0}));
  const Step<float> wrong = step<float>("f32", {1, 2}, {1000, 0}, {1});
  EXPECT_EQ(wrong.loss, 1000);
  EXPECT_EQ(wrong.d_logits, (std::vector<float>{1, -1}));
  const Step<float> nearly = step<float>("f32", {1, 2}, {20, 0}, {0});
  EXPECT_NEAR(nearly.loss, 2.0611536e-9, 1e-15) << "a small loss keeps its digits";
}

TEST(SoftmaxXent, NonFiniteLossIsPassedOn) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(step<float>("f32", {2, 2}, {0, 1, nan, 0}, {0, 0}).loss));
  EXPECT_TRUE(std::isnan(step<float>("f32", {1, 2}, {0, nan}, {0}).loss));
  EXPECT_TRUE(std::isnan(step<float>("f32", {1, 2}, {inf, 0}, {0}).loss));
  EXPECT_TRUE(std::isnan(step<float>("f32", {1, 2}, {-inf, -inf}, {0}).loss));
  EXPECT_EQ(step<float>("f32", {1, 2}, {-inf, 0}, {0}).loss, inf);
  EXPECT_EQ(step<float>("f32", {1, 2}, {-inf, 0}, {1}).loss, 0);
}

TEST(SoftmaxXent, ThreadsGiveTheSameBits) {
  const SoftmaxXentProblem p{1000, 10, 0.1};
  const std::vector<float> logits = random_values(10000, 3, -9, 9);
  const Step<float> wanted = step<float>("f32", p, logits, labels_of(p));
  for_threads([&] {
    const Step<float> got = step<float>("f32", p, logits, labels_of(p));
    EXPECT_TRUE(same_bits(&wanted.loss, &got.loss, 1));
    EXPECT_TRUE(same_bits(wanted.probabilities, got.probabilities));
    EXPECT_TRUE(same_bits(wanted.d_logits, got.d_logits));
  });
}

}  // namespace
}  // namespace octet::kernels
