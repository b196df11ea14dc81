// apps/tour and apps/tutorial do what the documents say of them.
#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;

namespace {

TEST(Examples, Tour) {
  const Ended ended = run_program({"tour"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  for (const char* part :
       {"dx = (3, 0, -1)", "0.26 → code 3 → 0.30 (gradient 1)", "99.00 → code 127 → 12.70 (gradient 0)",
        "3. fake-quantized net: ", "4. integer engine: ", "scheme octet"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << " in " << ended.out;
}

TEST(Examples, Tutorial) {
  const TempFolder folder;
  const Ended ended = run_program({"tutorial", "synthetic", "1", "1", "256"}, {}, folder.path().string());
  ASSERT_EQ(ended.code, 0) << ended.err;
  for (const char* part : {"3217226 parameters", "fp32: top-1 ", "QAT:  top-1 ", "int8: top-1 "})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part;
  EXPECT_TRUE(std::filesystem::exists(folder / "quant_inference_model.safetensors"));
}

TEST(Examples, TutorialRefusesWhatItDoesNotKnow) {
  EXPECT_EQ(run_program({"tutorial", "--help"}).code, 2);
  EXPECT_EQ(run_program({"tutorial", "/nonexistent"}).code, 1);
  EXPECT_EQ(run_program({"tutorial", "synthetic", "one"}).code, 1);
}

}  // namespace
