// Cells that several engines train together: to the results of one, and whatever becomes of one of them.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "tests/end_to_end/engine_runs.h"
#include "tests/files/command.h"
#include "tests/pictures/fixture.h"
#include "tests/plugins/datasets/made_drawings.h"

namespace silc {
namespace {

using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RanksEndToEnd : public testing::EngineRuns {
 protected:
  // Ends when all ranks have ended. `what` is done once, to their processes, when `when` says so.
  ProcessEnd run_ranks(std::size_t ranks, const RunFolder& folder,
                       const std::function<void(const EngineTeam&)>& what = nullptr,
                       const std::function<bool()>& when = nullptr) {
    const auto lock = FileLock::try_lock(folder.lock());
    EngineTeam team(engine_, folder.path, 1, *lock, std::vector<Environment>(ranks));
    bool done = false;
    while (true) {
      if (const auto end = team.poll()) return *end;
      if (when && !done && when()) {
        what(team);
        since_ = steady_clock::now();
        done = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  static std::vector<double> losses(const RunFolder& folder) {
    std::vector<double> all;
    for (const Event& event : events(folder))
      if (event["event"] == "step") all.push_back(event["loss"]);
    return all;
  }

  static std::string last_failure(const RunFolder& folder) {
    std::string message;
    for (const Event& event : events(folder))
      if (event["event"] == "failed") message = event["message"];
    return message;
  }

  // Engines with environments of their own, whose logs are in NAME-0, NAME-1, ….
  std::vector<std::string> words_of(const std::vector<Environment>& environments, const ResolvedCell& cell,
                                    const std::vector<Engine>& engines) {
    std::vector<RunFolder> folders;
    std::vector<std::unique_ptr<FileLock>> locks;
    std::vector<EngineProcess> processes;
    for (std::size_t i = 0; i < environments.size(); ++i) {
      folders.push_back(folder("alone-" + std::to_string(i), cell));
      locks.push_back(FileLock::try_lock(folders.back().lock()));
      processes.emplace_back(engines[i], folders.back().path, 1, *locks.back(), environments[i]);
    }
    std::vector<std::string> words;
    for (std::size_t i = 0; i < processes.size(); ++i) {
      while (!processes[i].poll()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      words.push_back(read_file(folders[i].log()));
    }
    return words;
  }

  static Environment place(const std::string& rank, const std::string& size, const std::string& port) {
    return {{"RANK", rank},        {"WORLD_SIZE", size},
            {"LOCAL_RANK", rank},  {"MASTER_ADDR", "127.0.0.1"},
            {"MASTER_PORT", port}, {"SILC_RENDEZVOUS_SECONDS", "3"}};
  }

  // Of those that `silc run` has started below this test's folder, once it trains; 0: none yet.
  [[nodiscard]] pid_t engine_of_rank_zero() const {
    namespace fs = std::filesystem;
    bool trains = false;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(root_ / "runs", ignored))
      trains = trains || (entry.path().filename() == "events.jsonl" &&
                          read_file(entry.path()).find("\"step\"") != std::string::npos);
    if (!trains) return 0;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      try {
        if (fs::read_symlink(entry.path() / "cwd") != fs::canonical(root_)) continue;
        if (read_file(entry.path() / "environ").find(std::string("\0RANK=0", 7)) != std::string::npos)
          return std::stoi(name);
      } catch (const std::exception&) {
        continue;  // it has ended
      }
    }
    return 0;
  }

  steady_clock::time_point since_;
};

TEST_F(RanksEndToEnd, SeveralTrainToTheResultOfOneAndTheSameNumberToTheSameBits) {
  const ResolvedCell cell = this->cell();
  const RunFolder one = folder("one", cell), two = folder("two", cell), again = folder("again", cell);
  ASSERT_EQ(run(one).exit_code, 0);
  ASSERT_EQ(run_ranks(2, two).exit_code, 0) << read_file(two.log());
  ASSERT_EQ(run_ranks(2, again).exit_code, 0);
  expect_same_result(two, again);
  const auto alone = losses(one), together = losses(two);
  ASSERT_EQ(alone.size(), together.size());
  for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(together[i], alone[i], 1e-4 * alone[i]) << "step " << i;
  EXPECT_EQ(events(two).front()["ranks"], 2);
}

TEST_F(RanksEndToEnd, ARankThatIsKilledIsNamedWithinHalfAMinuteAndTheNextRunEndsInTheSameBits) {
  const ResolvedCell cell = this->cell();
  const RunFolder whole = folder("whole", cell);
  ASSERT_EQ(run_ranks(2, whole).exit_code, 0);
  for (const std::size_t victim : {1, 0}) {
    const RunFolder killed = folder("killed-" + std::to_string(victim), cell);
    const auto end = run_ranks(
        2, killed, [&](const EngineTeam& team) { kill(team.pids().at(victim), SIGKILL); }, seen(killed, "step", 4));
    EXPECT_LT(steady_clock::now() - since_, std::chrono::seconds(30));
    EXPECT_EQ(end.signal, SIGKILL);
    EXPECT_EQ(end.rank, static_cast<int64_t>(victim));
    if (victim == 1) {
      EXPECT_THAT(last_failure(killed), HasSubstr("rank 1 has ended without a word"));
    }
    ASSERT_EQ(run_ranks(2, killed).exit_code, 0) << read_file(killed.log());
    expect_same_result(whole, killed);
  }
}

TEST_F(RanksEndToEnd, ARankThatHangsIsNamedWithinHalfAMinute) {
  const RunFolder hung = folder("hung", cell());
  const auto end = run_ranks(
      2, hung, [&](const EngineTeam& team) { kill(team.pids().at(1), SIGSTOP); }, seen(hung, "step", 3));
  EXPECT_LT(steady_clock::now() - since_, std::chrono::seconds(30));
  EXPECT_EQ(end.exit_code, 1);
  EXPECT_THAT(last_failure(hung), HasSubstr("rank 1 has given no sign of life for 15 s"));
}

// It keeps what the others look at and writes the events, so that one of them has to say it, in the log.
TEST_F(RanksEndToEnd, SoIsTheFirst) {
  const RunFolder hung = folder("hung", cell());
  const auto end = run_ranks(
      2, hung, [&](const EngineTeam& team) { kill(team.pids().at(0), SIGSTOP); }, seen(hung, "step", 3));
  EXPECT_LT(steady_clock::now() - since_, std::chrono::seconds(30));
  EXPECT_EQ(end.exit_code, 1);
  EXPECT_EQ(end.rank, 1);
  EXPECT_THAT(read_file(hung.log()), HasSubstr("rank 1: rank 0 has given no sign of life for 15 s"));
}

TEST_F(RanksEndToEnd, TheCheckpointOfTwoGoesOnWithFourAndWithOne) {
  const ResolvedCell cell = this->cell();
  const RunFolder one = folder("one", cell);
  ASSERT_EQ(run(one).exit_code, 0);
  const auto expected = losses(one);
  for (const std::size_t next : {4, 1}) {
    const RunFolder changing = folder("changing-" + std::to_string(next), cell);
    const auto stopped = run_ranks(
        2, changing, [](const EngineTeam& team) { team.send(SIGTERM); }, seen(changing, "step", 4));
    EXPECT_EQ(stopped.exit_code, 130) << read_file(changing.log());
    ASSERT_EQ(run_ranks(next, changing).exit_code, 0) << read_file(changing.log());
    const auto found = losses(changing);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-4 * expected[i]) << i;
  }
}

TEST_F(RanksEndToEnd, WhoDoesNotComeAndWhoWasToldOtherwiseIsNamed) {
  const ResolvedCell cell = this->cell();
  EXPECT_THAT(words_of({place("0", "2", "29711")}, cell, {engine_})[0],
              HasSubstr("rank 1 of 2 did not come to 127.0.0.1:29711 within 3 s"));
  EXPECT_THAT(words_of({place("1", "2", "29712")}, cell, {engine_})[0],
              HasSubstr("rank 1 cannot reach rank 0 at 127.0.0.1:29712"));
  EXPECT_THAT(words_of({place("0", "2", "29713"), place("1", "3", "29713")}, cell, {engine_, engine_})[0],
              HasSubstr("rank 1 was told of 3 ranks and rank 0 of 2"));
  EXPECT_THAT(words_of({place("2", "2", "29714")}, cell, {engine_})[0], HasSubstr("RANK=2 does not lie in 0 … 1"));
}

TEST_F(RanksEndToEnd, RanksWithOtherPluginsAreRefusedWithTheDifference) {
  const auto other = root_ / "other";
  std::filesystem::create_directories(other);
  const auto library = other / "objectives.so";
  std::filesystem::copy_file(std::filesystem::path(SILC_BINARY_DIR) / "plugins/objectives.so", library);
  std::ofstream(library, std::ios::app) << "built elsewhere";
  Engine differing = engine_;
  differing.plugin_paths.push_back(other);
  const auto words = words_of({place("0", "2", "29715"), place("1", "2", "29715")}, cell(), {engine_, differing});
  for (const std::string& each : words)
    EXPECT_THAT(each,
                AllOf(HasSubstr("ranks differ in objective \"silc\": version 1 of content"), HasSubstr("on rank 1")));
}

// On two machines with a package of another version, say.
TEST_F(RanksEndToEnd, RanksWithOtherDataAreRefusedWithTheDifference) {
  const std::vector<uint8_t> png = testing::stored_bytes("png_alpha.file");
  for (const char* name : {"here", "there"})
    testing::make_drawings(root_ / name, [&](const std::string&) { return std::string(png.begin(), png.end()); });
  const char* before = std::getenv("XDG_DATA_DIRS");
  const std::string usual = before == nullptr ? "/usr/local/share:/usr/share" : before;
  setenv("XDG_DATA_DIRS", (root_ / "here").c_str(), 1);
  const ResolvedCell cell = this->cell({"data.train={dataset=\"openclipart\", background=\"plain\"}"});
  Environment other = place("1", "2", "29716");
  other.emplace_back("XDG_DATA_DIRS", (root_ / "there").string());
  const auto words = words_of({place("0", "2", "29716"), other}, cell, {engine_, engine_});
  setenv("XDG_DATA_DIRS", usual.c_str(), 1);
  for (const std::string& each : words)
    EXPECT_THAT(each, AllOf(HasSubstr("rank 1: the data of dataset \"openclipart\", split \"train\", are not those"),
                            HasSubstr("on rank 1, and " + cell.train.fingerprint + " in cell.toml"),
                            HasSubstr("all ranks must see the same data")));
}

TEST_F(RanksEndToEnd, RanksWithAnotherCellAreRefusedWithTheDifference) {
  const ResolvedCell one = cell(), other = cell({"optimizer.lr=1e-4"});
  const RunFolder folders[] = {folder("one", one), folder("other", other)};
  std::vector<std::unique_ptr<FileLock>> locks;
  std::vector<EngineProcess> processes;
  for (const RunFolder& each : folders) {
    locks.push_back(FileLock::try_lock(each.lock()));
    processes.emplace_back(engine_, each.path, 1, *locks.back(), place(std::to_string(processes.size()), "2", "29717"));
  }
  for (EngineProcess& process : processes)
    while (!process.poll()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (const RunFolder& each : folders)
    EXPECT_THAT(read_file(each.log()), AllOf(HasSubstr("ranks differ in the cell: " + cell_id(one) + " on rank 0, " +
                                                       cell_id(other) + " on rank 1"),
                                             HasSubstr("all must run the same silc with the same plugins")));
}

// As on two machines, which know rank 0's by one name or another.
TEST_F(RanksEndToEnd, RanksThatReachRankZeroByDifferentAddressesTrainToTheSameBits) {
  const ResolvedCell cell = this->cell();
  const RunFolder team = folder("team", cell), apart = folder("apart", cell);
  ASSERT_EQ(run_ranks(2, team).exit_code, 0);
  const auto lock = FileLock::try_lock(apart.lock());
  std::vector<EngineProcess> processes;
  int number = 0;
  for (const char* address : {"127.0.0.1", "127.0.0.2"}) {
    Environment environment = place(std::to_string(number++), "2", "29718");
    for (auto& [name, value] : environment) {
      if (name == "MASTER_ADDR") value = address;
      if (name == "LOCAL_RANK") value = "0";
    }
    environment.emplace_back("GLOO_SOCKET_IFNAME", "lo");
    processes.emplace_back(engine_, apart.path, 1, *lock, environment);
  }
  for (EngineProcess& process : processes) {
    std::optional<ProcessEnd> end;
    while (!(end = process.poll())) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(end->exit_code, 0) << read_file(apart.log());
  }
  expect_same_result(team, apart);
}

// As docs/ranks.md has it. PyTorch's own is there where LibTorch is a Python's.
TEST_F(RanksEndToEnd, TorchrunStartsThemOnOneNodeAndOnTwoToTheSameBits) {
  std::string torchrun = SILC_SOURCE_DIR "/.deps/torch/bin/torchrun";
  if (!std::filesystem::exists(torchrun)) torchrun = "torchrun";
  if (testing::run_command("'" + torchrun + "' --help > /dev/null 2>&1").exit_code != 0)
    GTEST_SKIP() << "there is no torchrun";
  const ResolvedCell cell = this->cell();
  const RunFolder team = folder("team", cell), node = folder("node", cell), nodes = folder("nodes", cell);
  ASSERT_EQ(run_ranks(2, team).exit_code, 0);
  const auto started = [&](const std::string& options, const RunFolder& folder) {
    return "'" + torchrun + "' " + options + " --no-python '" + engine_.program.string() + "' run --folder '" +
           folder.path.string() + "' --threads 1";
  };
  const auto one = testing::run_command(started("--nproc-per-node 2", node) + " 2>&1");
  ASSERT_EQ(one.exit_code, 0) << one.output;
  expect_same_result(team, node);
  const std::string of_two = "--nnodes 2 --nproc-per-node 1 --master-addr 127.0.0.1 --master-port 29722 --node-rank ";
  const auto two = testing::run_command("( " + started(of_two + "1", nodes) + " > /dev/null 2>&1 & " +
                                        started(of_two + "0", nodes) + " && wait ) 2>&1");
  ASSERT_EQ(two.exit_code, 0) << two.output;
  expect_same_result(team, nodes);
}

TEST_F(RanksEndToEnd, WrongEnvironmentsAreRefusedWithTheRemedy) {
  const ResolvedCell cell = this->cell();
  const auto refused = [&](const char* changed, const char* value) {
    Environment environment = place("0", "2", "29719");
    for (auto& [name, own] : environment)
      if (name == changed) own = value;
    return words_of({environment}, cell, {engine_})[0];
  };
  EXPECT_THAT(refused("WORLD_SIZE", "two"), HasSubstr("WORLD_SIZE=two is no whole number"));
  EXPECT_THAT(refused("WORLD_SIZE", "0"), HasSubstr("WORLD_SIZE=0 must be 1 or more"));
  EXPECT_THAT(refused("RANK", ""), HasSubstr("WORLD_SIZE=2 is set, but not RANK"));
  EXPECT_THAT(refused("MASTER_PORT", ""), HasSubstr("MASTER_ADDR and MASTER_PORT must say where the ranks meet"));
  EXPECT_THAT(refused("MASTER_PORT", "99999"), HasSubstr("an address of rank 0's machine and a free port"));
  // The batch of 8 is not for 3.
  EXPECT_THAT(words_of({place("0", "3", "29720"), place("1", "3", "29720"), place("2", "3", "29720")}, cell,
                       {engine_, engine_, engine_})[0],
              HasSubstr("optimizer.batch = 8 cannot be shared out evenly among 3 ranks; choose a multiple"));
  EXPECT_THAT(words_of({place("1", "2", "29721"), place("1", "2", "29721")}, cell, {engine_, engine_})[0],
              HasSubstr("was rank 0 started, and can this machine reach that address and port?"));
}

// Rank 0 is silc's own child, too: what rank 1 says of it is what silc says of the cell, now and later.
TEST_F(RanksEndToEnd, SilcSaysWhichRankHangsWhereItIsTheFirst) {
  const auto silc = [&](const std::string& arguments) {
    return testing::run_command("cd '" + root_.string() + "' && '" SILC_BINARY_DIR "/bin/silc' " + arguments + " 2>&1");
  };
  std::thread stopper([&] {
    for (int look = 0; look < 6000; ++look) {
      if (const pid_t first = engine_of_rank_zero(); first > 0) {
        kill(first, SIGSTOP);
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  const auto run = silc("run tiny.toml --ranks 2 --threads 2 --set budget.examples=100000");
  stopper.join();
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("rank 1: rank 0 has given no sign of life for 15 s"));
  EXPECT_THAT(silc("status").output, HasSubstr("rank 0 has given no sign of life"));
}

TEST_F(RanksEndToEnd, APlanMeasuresThemTogetherAndSaysTheFlopsOfTheRun) {
  const auto silc = [&](const std::string& arguments) {
    return testing::run_command("cd '" + root_.string() + "' && '" SILC_BINARY_DIR "/bin/silc' " + arguments +
                                " --ranks 2 --threads 2");
  };
  const auto planned = silc("plan tiny.toml --json 2>/dev/null");
  ASSERT_EQ(planned.exit_code, 0) << planned.output;
  const auto row = nlohmann::json::parse(planned.output).at("rows").at(0);
  EXPECT_EQ(row["ranks"], 2);
  EXPECT_EQ(row["threads"], 1) << "of each";
  EXPECT_GT(row["predicted"]["peak_memory"], 0);
  ASSERT_EQ(silc("run tiny.toml -q 2>&1").exit_code, 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ / "runs"))
    if (entry.path().filename() == "metrics.json") {
      EXPECT_EQ(row["predicted"]["flops"], nlohmann::json::parse(read_file(entry.path()))["cost"]["flops"]);
    }
}

TEST_F(RanksEndToEnd, SilcStartsThemAndSaysWhatCannotBe) {
  const auto silc = [&](const std::string& arguments) {
    return testing::run_command("cd '" + root_.string() + "' && '" SILC_BINARY_DIR "/bin/silc' run tiny.toml " +
                                arguments + " 2>&1");
  };
  const auto refused = silc("--ranks 3");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("engine.ranks must divide optimizer.batch = 8"));
  const auto done = silc("--ranks 2 --threads 2");
  EXPECT_EQ(done.exit_code, 0) << done.output;
}

}  // namespace
}  // namespace silc
