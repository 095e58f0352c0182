#include "schedule/engine_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>
#include <utility>

#include "files/run_folder.h"
#include "silc/error.h"

namespace silc {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }
  void reset() {
    if (value_ >= 0) close(value_);
    value_ = -1;
  }

 private:
  int value_;
};

[[noreturn]] void throw_system_error(const std::string& what) { throw Error(what + ": " + std::strerror(errno)); }

struct Spawn {
  std::vector<std::string> arguments;  // the program first
  int input = -1;
  int output = -1;
  int errors = -1;
  int inherited = -1;      // one more descriptor that stays open
  bool own_group = false;  // out of reach of the terminal's signals
  Environment environment = {};
};

// NAME=VALUE of this process's variables, with those of `changes` in their places.
std::vector<std::string> changed_environment(const Environment& changes) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    const auto changed = [&](const auto& change) { return change.first == name; };
    if (std::none_of(changes.begin(), changes.end(), changed)) variables.emplace_back(text);
  }
  for (const auto& [name, value] : changes) variables.push_back(name + "=" + value);
  return variables;
}

// As execv takes them: valid as long as `texts` is.
std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// In the child, between fork and exec: only what is safe after fork. Returns if it failed, with errno set.
void become_engine(const Spawn& spawn, char* const* arguments, char* const* variables, pid_t parent) {
  if (spawn.own_group) setpgid(0, 0);
  // The order closes the race with a parent that died before prctl.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(130);
  // What a crash leaves is the message, not a file of gigabytes.
  constexpr rlimit kNoCore{0, 0};
  setrlimit(RLIMIT_CORE, &kNoCore);
  // Where memory runs out the system shall end an engine, which loses a cell, before silc, which loses the run.
  if (const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
    constexpr std::string_view kFirst = "500";
    if (write(score, kFirst.data(), kFirst.size()) < 0) errno = 0;
    close(score);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A word for the process that watches it in a job of Slurm, which sends it to both.
  signal(SIGUSR1, SIG_IGN);
  if (dup2(spawn.input, STDIN_FILENO) < 0 || dup2(spawn.output, STDOUT_FILENO) < 0 ||
      dup2(spawn.errors, STDERR_FILENO) < 0)
    return;
  // Locks of other cells must not live on in this one.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  if (spawn.inherited >= 0) fcntl(spawn.inherited, F_SETFD, 0);
  execve(arguments[0], arguments, variables);
}

pid_t start(const Spawn& spawn) {
  const std::vector<char*> arguments = pointers_to(spawn.arguments);
  const std::vector<std::string> environment = changed_environment(spawn.environment);
  const std::vector<char*> variables = pointers_to(environment);

  // Closed by a successful exec, else it brings errno home.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe");
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw_system_error("a process for " + spawn.arguments[0] + " cannot be started");
  if (child == 0) {
    become_engine(spawn, arguments.data(), variables.data(), parent);
    const int error = errno;
    const ssize_t written = write(writing.get(), &error, sizeof(error));
    _exit(written > 0 ? 127 : 126);
  }
  writing.reset();
  int error = 0;
  if (read(reading.get(), &error, sizeof(error)) == sizeof(error)) {
    waitpid(child, nullptr, 0);
    throw Error(spawn.arguments[0] + ": cannot be run: " + std::strerror(error));
  }
  return child;
}

std::optional<ProcessEnd> wait_for(pid_t pid, int flags) {
  int status = 0;
  rusage usage{};
  pid_t ended = 0;
  do {
    ended = wait4(pid, &status, flags, &usage);
  } while (ended < 0 && errno == EINTR);
  if (ended < 0) throw_system_error("waiting for silc-engine");
  if (ended == 0) return std::nullopt;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  ProcessEnd end;
  if (WIFSIGNALED(status))
    end.signal = WTERMSIG(status);
  else
    end.exit_code = WEXITSTATUS(status);
  end.core_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  end.peak_memory = int64_t{usage.ru_maxrss} * 1024;
  return end;
}

// From `offset` on. Its position stays where it is: it is shared with the process that writes.
std::string content_of(const Descriptor& file, size_t offset = 0) {
  std::string content;
  char buffer[1 << 16];
  for (ssize_t got = 0; (got = pread(file.get(), buffer, sizeof(buffer), static_cast<off_t>(offset))) > 0;) {
    content.append(buffer, static_cast<size_t>(got));
    offset += static_cast<size_t>(got);
  }
  return content;
}

int memory_file(const char* name) {
  const int file = memfd_create(name, MFD_CLOEXEC);
  if (file < 0) throw_system_error("memfd_create");
  return file;
}

std::vector<std::string> command_line(const Engine& engine, const std::vector<std::string>& arguments) {
  std::vector<std::string> line = {engine.program.string()};
  line.insert(line.end(), arguments.begin(), arguments.end());
  for (const auto& path : engine.plugin_paths) {
    line.emplace_back("--plugin-path");
    line.push_back(path.string());
  }
  return line;
}

}  // namespace

std::filesystem::path find_engine() {
  std::filesystem::path program;
  if (const char* named = std::getenv("SILC_ENGINE"); named != nullptr && *named != '\0')
    program = named;
  else
    program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "silc-engine";
  if (access(program.c_str(), X_OK) != 0)
    throw Error(program.string() + ": " + std::strerror(errno) +
                "; silc needs silc-engine beside it (build the target silc-engine, or install silc again)");
  return std::filesystem::absolute(program);
}

EngineProcess::EngineProcess(const Engine& engine, const std::filesystem::path& folder, int64_t threads,
                             const FileLock& lock, const Environment& environment, std::optional<double> until) {
  const std::filesystem::path log_file = folder / "engine.log";
  const Descriptor log(open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (log.get() < 0) throw_system_error(log_file.string());
  const Descriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Spawn spawn;
  std::vector<std::string> arguments = {"run", "--folder", folder.string(), "--threads", std::to_string(threads)};
  if (until) arguments.insert(arguments.end(), {"--until", fmt::format("{}", *until)});
  spawn.arguments = command_line(engine, arguments);
  spawn.input = nothing.get();
  spawn.output = log.get();
  spawn.errors = log.get();
  spawn.inherited = lock.descriptor();
  spawn.own_group = true;
  spawn.environment = environment;
  pid_ = start(spawn);
}

EngineProcess::EngineProcess(EngineProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

EngineProcess::~EngineProcess() {
  if (pid_ < 0) return;
  send(SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::optional<ProcessEnd> EngineProcess::poll() {
  const auto end = wait_for(pid_, WNOHANG);
  if (end) pid_ = -1;
  return end;
}

void EngineProcess::send(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

namespace {

// A port that was free a moment ago, for ranks to meet at.
int free_port() {
  const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (probe.get() < 0 || bind(probe.get(), any, length) != 0 || getsockname(probe.get(), any, &length) != 0)
    throw_system_error("a port for ranks to meet at");
  return ntohs(address.sin_port);
}

// An engine that was asked to stop, or paused, ended as it should.
bool is_fault(const ProcessEnd& end) {
  constexpr int kPaused = 3;
  constexpr int kInterrupted = 130;
  return end.signal != 0 || (end.exit_code != 0 && end.exit_code != kPaused && end.exit_code != kInterrupted);
}

}  // namespace

std::vector<Environment> rank_environments(std::size_t ranks) {
  const std::string port = ranks > 1 ? std::to_string(free_port()) : "";
  std::vector<Environment> environments(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    // Also of one that is alone: silc itself may run where these say something else.
    environments[rank].emplace_back("WORLD_SIZE", std::to_string(ranks));
    if (ranks == 1) break;
    const std::string number = std::to_string(rank);
    environments[rank].insert(
        environments[rank].end(),
        {{"RANK", number}, {"LOCAL_RANK", number}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}});
  }
  return environments;
}

EngineTeam::EngineTeam(const Engine& engine, const std::filesystem::path& folder, int64_t threads, const FileLock& lock,
                       std::span<const Environment> environments, std::optional<double> until)
    : ends_(environments.size()) {
  const std::vector<Environment> places = rank_environments(environments.size());
  for (std::size_t rank = 0; rank < environments.size(); ++rank) {
    Environment all = environments[rank];
    all.insert(all.end(), places[rank].begin(), places[rank].end());
    processes_.emplace_back(engine, folder, threads, lock, all, until);
  }
}

std::optional<ProcessEnd> EngineTeam::poll() {
  // For the last words of the others, and for rank 0 to say which one it was.
  constexpr std::chrono::seconds kPatience{9}, kShort{1};
  bool running = false;
  for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
    if (ends_[rank]) continue;
    ends_[rank] = processes_[rank].poll();
    if (!ends_[rank]) {
      running = true;
      continue;
    }
    // What becomes of the others when rank 0 has done its work matters to nobody.
    const bool done = ends_[0] && !is_fault(*ends_[0]);
    const bool fault = is_fault(*ends_[rank]) && !done;
    if (!first_fault_ && fault) first_fault_ = rank;
    const auto latest = std::chrono::steady_clock::now() + (rank == 0 && fault ? kShort : kPatience);
    if (rank == 0 || fault) kill_at_ = kill_at_ ? std::min(*kill_at_, latest) : latest;
  }
  if (running) {
    if (kill_at_ && std::chrono::steady_clock::now() >= *kill_at_) send(SIGKILL);
    return std::nullopt;
  }
  ProcessEnd end = *ends_[first_fault_.value_or(0)];
  end.core_seconds = 0;
  end.peak_memory = 0;
  for (const auto& each : ends_) {
    end.core_seconds += each->core_seconds;
    end.peak_memory += each->peak_memory;
  }
  if (first_fault_ && ends_.size() > 1) end.rank = static_cast<int64_t>(*first_fault_);
  return end;
}

void EngineTeam::send(int signal) const {
  for (const EngineProcess& process : processes_) process.send(signal);
}

std::vector<pid_t> EngineTeam::pids() const {
  std::vector<pid_t> running;
  for (const EngineProcess& process : processes_)
    if (process.pid() > 0) running.push_back(process.pid());
  return running;
}

EngineAnswer run_program(const std::vector<std::string>& line, const Environment& environment, std::string_view input,
                         const std::function<void(std::string_view)>& follow, double patience, bool own_group) {
  // Files in memory and not pipes: neither side can block the other.
  const Descriptor question(memory_file("input"));
  const Descriptor output(memory_file("output"));
  const Descriptor errors(memory_file("errors"));
  for (std::string_view rest = input; !rest.empty();) {
    const ssize_t written = write(question.get(), rest.data(), rest.size());
    if (written <= 0) throw_system_error("writing to memory");
    rest.remove_prefix(static_cast<size_t>(written));
  }
  lseek(question.get(), 0, SEEK_SET);

  Spawn spawn;
  spawn.arguments = line;
  spawn.environment = environment;
  spawn.own_group = own_group;
  spawn.input = question.get();
  spawn.output = output.get();
  spawn.errors = errors.get();
  const pid_t child = start(spawn);
  EngineAnswer answer;
  if (follow || patience > 0) {
    constexpr double kLook = 0.05;  // seconds
    double quiet = 0;
    std::optional<ProcessEnd> end;
    while (!end) {
      end = wait_for(child, WNOHANG);
      const size_t before = answer.output.size();
      answer.output += content_of(output, before);
      if (follow && answer.output.size() > before) follow(std::string_view(answer.output).substr(before));
      if (end) break;
      quiet = answer.output.size() > before ? 0 : quiet + kLook;
      if (patience > 0 && quiet >= patience && !std::exchange(answer.gave_up, true)) kill(child, SIGKILL);
      std::this_thread::sleep_for(std::chrono::duration<double>(kLook));
    }
    answer.end = *end;
  } else {
    answer.end = *wait_for(child, 0);
    answer.output = content_of(output);
  }
  answer.errors = content_of(errors);
  return answer;
}

std::filesystem::path find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path program = std::filesystem::path(folder) / name;
    if (!folder.empty() && access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

EngineAnswer run_engine(const Engine& engine, const std::vector<std::string>& arguments, std::string_view input,
                        const std::function<void(std::string_view)>& follow, double patience,
                        const Environment& environment) {
  return run_program(command_line(engine, arguments), environment, input, follow, patience);
}

nlohmann::json ask_engine(const Engine& engine, const std::vector<std::string>& arguments, std::string_view input,
                          double patience) {
  return parse_answer(engine, arguments, run_engine(engine, arguments, input, {}, patience), patience);
}

bool failed(const EngineAnswer& answer) {
  return answer.gave_up || answer.end.signal != 0 || answer.end.exit_code != 0;
}

nlohmann::json parse_answer(const Engine& engine, const std::vector<std::string>& arguments, const EngineAnswer& answer,
                            double patience) {
  const std::string what = "silc-engine " + (arguments.empty() ? std::string() : arguments.front());
  if (answer.gave_up)
    throw Error(fmt::format("{} did not answer for {:g} s (engine.hang_seconds) and was ended", what, patience));
  if (const ProcessEnd& end = answer.end; end.signal != 0 || end.exit_code != 0) {
    std::string words = answer.errors;
    while (!words.empty() && words.back() == '\n') words.pop_back();
    if (words.rfind("silc-engine: ", 0) == 0) words.erase(0, std::strlen("silc-engine: "));
    if (end.signal != 0)
      words = what + " was killed by " + signal_name(end.signal) + (words.empty() ? "" : ":\n" + words);
    else if (words.empty())
      words = fmt::format("{} exited with code {}", what, end.exit_code);
    throw Error(words);
  }
  auto parsed = nlohmann::json::parse(answer.output, nullptr, false);
  if (parsed.is_discarded())
    throw Error(what + " (" + engine.program.string() + ") printed something that is not JSON; is it of this version?");
  return parsed;
}

}  // namespace silc
