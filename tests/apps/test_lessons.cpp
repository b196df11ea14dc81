// The course: every lesson's program runs, prints what its page quotes and draws the picture that stands beside it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;

namespace {

const std::filesystem::path kSource = OCTET_SOURCE_DIR;

/// "01_eight_bits" …, as apps/lessons has them.
Words lessons() {
  Words names;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "apps/lessons"))
    if (entry.path().extension() == ".cpp" &&
        std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])))
      names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

/// docs/course/01-eight-bits.md …
std::string page_of(std::string lesson, const std::string& extension) {
  std::replace(lesson.begin(), lesson.end(), '_', '-');
  return kSource / "docs/course" / (lesson + extension);
}

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What stands in a page's blocks of output, "```text", a line each; "…" stands for lines left out.
Words quoted(const std::string& page) {
  Words lines;
  bool inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with("```"))
      inside = line == "```text";
    else if (inside && line != "…")
      lines.push_back(line);
  }
  return lines;
}

class Lesson : public testing::TestWithParam<std::string> {
 protected:
  static Ended run(const Words& words, const Environment& environment = {}) {
    return run_program(Words{"lesson_" + GetParam()} + words, environment);
  }
};

TEST_P(Lesson, PrintsWhatItsPageQuotes) {
  const Ended ended = run({});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Words printed = lines_of(ended.out), expected = quoted(bytes_of(page_of(GetParam(), ".md")));
  EXPECT_GE(expected.size(), 3u);
  for (const std::string& line : expected)
    EXPECT_NE(std::find(printed.begin(), printed.end(), line), printed.end()) << "not printed: " << line << "\nbut\n"
                                                                              << ended.out;
}

TEST_P(Lesson, DrawsThePictureOfItsPage) {
  const TempFolder folder;
  const Ended ended = run({"-o", folder / "picture.svg"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(bytes_of(folder / "picture.svg") == bytes_of(page_of(GetParam(), ".svg")))
      << "lesson_" << GetParam() << " -o " << page_of(GetParam(), ".svg") << " draws it anew";
}

TEST_P(Lesson, DoesNotDependOnTheProcessor) {
  const TempFolder folder;
  const Ended ended = run({"-o", folder / "picture.svg"}, {{"OCTET_ISA", "reference"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(bytes_of(folder / "picture.svg") == bytes_of(page_of(GetParam(), ".svg")));
}

TEST_P(Lesson, HasAPageWithPictureExercisesAndSolutions) {
  const std::string page = bytes_of(page_of(GetParam(), ".md")), course = bytes_of(kSource / "docs/course/README.md");
  const std::string name = std::filesystem::path(page_of(GetParam(), "")).filename();
  for (const std::string& part : Words{"](" + name + ".svg)", "## Exercises", "\n1. ", "\n2. ", "\n3. ",
                                       "apps/lessons/solutions/" + GetParam() + ".h"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_NE(course.find("](" + name + ".md)"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(kSource / "apps/lessons/solutions" / (GetParam() + ".h")));
}

TEST_P(Lesson, RefusesInOneLine) {
  const Ended unknown = run({"--fast"}), unwritable = run({"-o", "/nonexistent/picture.svg"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err, "usage: lesson_" + GetParam() + " [-o FILE.svg]\n");
  EXPECT_EQ(unwritable.code, 1);
  EXPECT_EQ(lines_of(unwritable.err).size(), 1u) << unwritable.err;
  EXPECT_TRUE(unwritable.err.starts_with("lesson_" + GetParam() + ": ")) << unwritable.err;
}

INSTANTIATE_TEST_SUITE_P(Course, Lesson, testing::ValuesIn(lessons()), [](const auto& info) { return info.param; });

}  // namespace
