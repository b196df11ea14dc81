// Interrupted runs: whatever the moment, --resume gives the bytes and the metrics of an undisturbed run.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Seconds = std::chrono::duration<double>;
double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// 200 steps in all.
Words two_hundred_steps(const std::string& out) {
  return Words{"mnv1_qat", "run", "--quiet"} + small_data() +
         Words{"--limit-train", "400", "--batch-size",       "4",  "--scale", "0.25", "--epochs", "1",
               "--qat-epochs",  "1",   "--checkpoint-every", "10", "--out",   out};
}

// The lines of metrics.jsonl without their times.
Words metrics_of(const std::string& out) {
  std::istringstream file(bytes_of(out + "/metrics.jsonl"));
  Words lines;
  for (std::string line; std::getline(file, line);) {
    Json j = Json::parse(line, nullptr, false);
    EXPECT_TRUE(j.is_object()) << line;
    j.erase("ms");
    lines.push_back(j.dump());
  }
  return lines;
}

class Resume : public ::testing::Test {
 protected:
  std::string out(const std::string& name) const { return folder_ / name; }

  double run_undisturbed() {
    const double start = now();
    const Ended ended = run_program(two_hundred_steps(out("undisturbed")));
    EXPECT_EQ(ended.code, 0) << ended.err;
    return now() - start;
  }

  // Ends a process of the run at `name` by `signal` after `seconds`; true when it was still at work.
  bool interrupt(const std::string& name, int signal, double seconds) {
    Program program(two_hundred_steps(out(name)) + Words{"--resume"});
    std::this_thread::sleep_for(Seconds(seconds));
    program.send(signal);
    const Ended ended = program.wait();
    EXPECT_TRUE(ended.signal == signal || ended.code == 0) << ended.code << ended.err;
    return ended.signal == signal;
  }

  // Ends a process as soon as it has written this checkpoint.
  void interrupt_behind(const std::string& name, const std::string& checkpoint) {
    Program program(two_hundred_steps(out(name)) + Words{"--resume"});
    while (!fs::exists(out(name) + "/" + checkpoint) && program.is_running())
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    program.send(SIGKILL);
    EXPECT_EQ(program.wait().signal, SIGKILL);
  }

  void finish(const std::string& name) {
    const Ended ended = run_program(two_hundred_steps(out(name)) + Words{"--resume"});
    EXPECT_EQ(ended.code, 0) << ended.err;
    for (const char* file : {"fp32.safetensors", "qat.safetensors", "int8.safetensors"})
      EXPECT_EQ(bytes_of(out(name) + "/" + file), bytes_of(out("undisturbed/") + file)) << file;
    EXPECT_EQ(metrics_of(out(name)), metrics_of(out("undisturbed")));
  }

  void kill_at_random(int kills) {
    const double whole = run_undisturbed();
    std::mt19937 random(2026);
    std::uniform_real_distribution<double> moment(0.02 * whole, 0.45 * whole);
    int done = 0;
    for (int round = 0; done < kills && !HasFailure(); ++round) {
      const std::string name = "killed" + std::to_string(round);
      while (done < kills && interrupt(name, SIGKILL, moment(random))) ++done;
      finish(name);
    }
  }
  TempFolder folder_;
};

TEST_F(Resume, KillsAtRandomMoments) { kill_at_random(3); }

class LongResume : public Resume {};
TEST_F(LongResume, TwentyKillsAtRandomMoments) { kill_at_random(20); }

TEST_F(Resume, TerminateAndInterruptLeaveAResumableRun) {
  const double whole = run_undisturbed();
  interrupt("asked", SIGTERM, 0.4 * whole);
  interrupt("asked", SIGINT, 0.4 * whole);
  finish("asked");
}

// The step times in metrics.jsonl tell which process did a step.
TEST_F(Resume, WorkThatACheckpointHoldsIsNotDoneAgain) {
  std::string kept;
  for (const char* checkpoint : {"pretrain.checkpoint.safetensors", "qat.checkpoint.safetensors"}) {
    interrupt_behind("r", checkpoint);
    const std::string before = bytes_of(out("r/metrics.jsonl"));
    const std::size_t first_lines = before.rfind("\"step\":10,");
    ASSERT_NE(first_lines, std::string::npos) << before;
    kept = before.substr(0, before.find('\n', first_lines));
    interrupt("r", SIGTERM, 0.1);
    EXPECT_TRUE(bytes_of(out("r/metrics.jsonl")).starts_with(kept)) << checkpoint;
  }
  EXPECT_EQ(run_program(two_hundred_steps(out("r")) + Words{"--resume"}).code, 0);
  EXPECT_TRUE(bytes_of(out("r/metrics.jsonl")).starts_with(kept)) << "also where a short call had not come that far";
}

// What methods keep, and what they do at the end, survives too.
TEST_F(Resume, MethodsOfFineTuning) {
  const auto words = [&](const std::string& name) {
    return two_hundred_steps(out(name)) + Words{"--resume", "--weight-bits",
                                                "3",        "--oscillation-threshold",
                                                "0.02",     "--dampening",
                                                "0.001",    "--distill",
                                                "0.5",      "--batch-norm-freeze-epoch",
                                                "1",        "--batch-norm-reestimate",
                                                "3",        "--activation-preprocess-type",
                                                "PACT",     "--pact-decay",
                                                "0.001"};
  };
  ASSERT_EQ(run_program(words("whole")).code, 0);
  Program program(words("cut"));
  while (!fs::exists(out("cut/qat.checkpoint.safetensors")) && program.is_running())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().signal, SIGKILL);
  const Ended ended = run_program(words("cut"));
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* file : {"fp32.safetensors", "qat.safetensors", "int8.safetensors"})
    EXPECT_EQ(bytes_of(out("cut/") + file), bytes_of(out("whole/") + file)) << file;
}

TEST_F(Resume, TimesCountAllProcesses) {
  interrupt_behind("r", "qat.checkpoint.safetensors");
  const double before = Json::parse(bytes_of(out("r/timing.json")))["total_seconds"];
  ASSERT_EQ(run_program(two_hundred_steps(out("r")) + Words{"--resume"}).code, 0);
  const Json summary = Json::parse(bytes_of(out("r/summary.json")));
  EXPECT_GT(summary["total_seconds"].get<double>(), before);
  EXPECT_GT(summary["pretrain_seconds"].get<double>(), 0);
  EXPECT_GT(summary["fp32_step_ms"].get<double>(), 0);
  EXPECT_GE(summary["total_seconds"].get<double>(),
            summary["pretrain_seconds"].get<double>() + summary["qat_seconds"].get<double>());
}

TEST_F(Resume, UnfinishedRunIsNotOverwritten) {
  interrupt_behind("r", "pretrain.checkpoint.safetensors");
  const std::string checkpoint = bytes_of(out("r/pretrain.checkpoint.safetensors"));
  expect_refused(run_program(two_hundred_steps(out("r"))), 1, {"unfinished run", "--resume"});
  expect_refused(run_program(two_hundred_steps(out("r")) + Words{"--resume", "--lr", "0.2"}), 1,
                 {"lr was 0.1, is 0.2"});
  expect_refused(run_program(two_hundred_steps(out("r")) + Words{"--resume", "--seed", "2", "--scale", "0.5"}), 1,
                 {"seed was 1, is 2", "scale was 0.25, is 0.5"});
  EXPECT_EQ(bytes_of(out("r/pretrain.checkpoint.safetensors")), checkpoint);
  // A checkpoint that is cut or no checkpoint.
  for (const std::string& bad : {checkpoint.substr(0, checkpoint.size() / 2), std::string("nonsense"), std::string()}) {
    write_bytes(out("r/pretrain.checkpoint.safetensors"), bad);
    expect_refused(run_program(two_hundred_steps(out("r")) + Words{"--resume"}), 1,
                   {"pretrain.checkpoint.safetensors"});
    EXPECT_EQ(bytes_of(out("r/pretrain.checkpoint.safetensors")), bad);
  }
}

TEST_F(Resume, FinishedRunOfOtherOptionsIsNamed) {
  ASSERT_EQ(mnv1_qat(Words{"run"} + small_run(out("r"))).code, 0);
  const std::string qat = bytes_of(out("r/qat.safetensors"));
  expect_refused(mnv1_qat(Words{"run", "--resume", "--scheme", "paddle"} + small_run(out("r"))), 1,
                 {"quant/scheme was \"octet\", is \"paddle\""});
  EXPECT_EQ(bytes_of(out("r/qat.safetensors")), qat);
  const Ended again = mnv1_qat(Words{"run", "--resume"} + small_run(out("r")));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("finished before"), std::string::npos);
  EXPECT_EQ(mnv1_qat(Words{"run", "--scheme", "paddle"} + small_run(out("r"))).code, 0)
      << "without --resume a finished run may be replaced";
}

TEST_F(Resume, TwoProcessesDoNotShareAFolder) {
  Program first(two_hundred_steps(out("r")));
  while (!fs::exists(out("r/metrics.jsonl")) && first.is_running())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  first.send(SIGSTOP);
  expect_refused(run_program(two_hundred_steps(out("r")) + Words{"--resume"}), 1, {"another process"});
  first.send(SIGCONT);
  EXPECT_EQ(first.wait().code, 0);
}

}  // namespace
