// silc-engine as a child process. No LibTorch.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/durable_file.h"

namespace silc {

struct Engine {
  std::filesystem::path program;
  std::vector<std::filesystem::path> plugin_paths;  // handed on as --plugin-path
};

// $SILC_ENGINE, or silc-engine beside the running program. Throws silc::Error if there is no such program.
std::filesystem::path find_engine();

// How a process ended, and what the operating system says that it cost.
struct ProcessEnd {
  int exit_code = 0;
  int signal = 0;  // that killed it; 0: it exited
  double core_seconds = 0;
  int64_t peak_memory = 0;                     // bytes
  std::optional<int64_t> rank = std::nullopt;  // of several, that came to this end before the others
};

// Variables by name, laid over those of silc itself.
using Environment = std::vector<std::pair<std::string, std::string>>;

inline constexpr int kPaused = 3;

// `silc-engine run` on one run folder, in a process group of its own, so that a terminal's Ctrl-C reaches silc alone.
// It is asked to stop (SIGTERM) when silc dies, and holds the folder's lock until it has stopped. Its output goes to
// the folder's engine.log.
class EngineProcess {
 public:
  // `until`: part of the budget at which it pauses, with exit code kPaused; none: it trains and evaluates to the end.
  EngineProcess(const Engine& engine, const std::filesystem::path& folder, int64_t threads, const FileLock& lock,
                const Environment& environment = {}, std::optional<double> until = std::nullopt);
  ~EngineProcess();  // kills it if it still runs
  EngineProcess(EngineProcess&& other) noexcept;
  EngineProcess& operator=(EngineProcess&& other) = delete;

  // How it ended; null while it runs.
  std::optional<ProcessEnd> poll();
  void send(int signal) const;
  [[nodiscard]] pid_t pid() const { return pid_; }  // -1 when it has ended

 private:
  pid_t pid_ = -1;
};

// What engines that are ranks of each other on this machine read of the environment, as torchrun sets it; of one alone
// that it is alone.
std::vector<Environment> rank_environments(std::size_t ranks);

// The engines of one cell, one a rank: all on this machine, with the environment of torchrun. They hold together: when
// one comes to a bad end, those that do not follow soon are killed.
class EngineTeam {
 public:
  // `environments`: of the ranks, one each.
  EngineTeam(const Engine& engine, const std::filesystem::path& folder, int64_t threads, const FileLock& lock,
             std::span<const Environment> environments, std::optional<double> until = std::nullopt);

  // When all have ended: how the one did that came to a bad end first, else rank 0; with the cost of all. Null while
  // one runs.
  std::optional<ProcessEnd> poll();
  void send(int signal) const;
  [[nodiscard]] std::vector<pid_t> pids() const;  // of those that run

 private:
  std::vector<EngineProcess> processes_;
  std::vector<std::optional<ProcessEnd>> ends_;
  std::optional<std::size_t> first_fault_;  // a rank
  std::optional<std::chrono::steady_clock::time_point> kill_at_;
};

struct EngineAnswer {
  ProcessEnd end;
  std::string output;  // on stdout
  std::string errors;  // on stderr
  bool gave_up = false;
};

// Runs a program to its end, `line` being its path and arguments, with `environment` laid over that of silc and `input`
// on its standard input, without judging how it ends. `follow` gets its output as it comes, in pieces. `patience`:
// seconds without output after which it is killed; 0: none. `own_group`: out of reach of the terminal's Ctrl-C. From
// any thread. Throws silc::Error if it cannot be started.
EngineAnswer run_program(const std::vector<std::string>& line, const Environment& environment = {},
                         std::string_view input = {}, const std::function<void(std::string_view)>& follow = {},
                         double patience = 0, bool own_group = false);

// The program of that name in a folder of PATH; empty: there is none.
std::filesystem::path find_program(const std::string& name);

// Runs the engine to its end with `arguments` and `input` on its standard input, without judging how it ends. `follow`
// gets its output as it comes, in pieces. `patience`: seconds without output after which it is killed; 0: none.
// `environment`: over silc's own.
EngineAnswer run_engine(const Engine& engine, const std::vector<std::string>& arguments, std::string_view input = {},
                        const std::function<void(std::string_view)>& follow = {}, double patience = 0,
                        const Environment& environment = {});

bool failed(const EngineAnswer& answer);

// What an engine that was run with `arguments` and `patience` printed, as JSON. Throws silc::Error as ask_engine does.
nlohmann::json parse_answer(const Engine& engine, const std::vector<std::string>& arguments, const EngineAnswer& answer,
                            double patience);

// Runs the engine to its end with `arguments` (and the plugin paths) and `input` on its standard input, and parses what
// it prints as JSON. Throws silc::Error with the engine's own words if it fails, and if it says nothing for `patience`
// seconds (0: it may take any time), after which it is killed.
nlohmann::json ask_engine(const Engine& engine, const std::vector<std::string>& arguments, std::string_view input = {},
                          double patience = 0);

}  // namespace silc
