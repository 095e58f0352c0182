// silc plugin build: for those who do not want to know CMake.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <sstream>
#include <system_error>

#include "cli/plugin_commands.h"
#include "cli/text.h"
#include "files/durable_file.h"
#include "schedule/engine_process.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr size_t kErrorsShown = 5;
constexpr size_t kSnippetLines = 3;  // of source that the compiler quotes below an error
constexpr size_t kTailLines = 25;    // of a log in which no error was recognised

struct BuildOptions {
  fs::path folder = ".";
  bool test = false;
};

// The CMake package beside the running program: of the build tree or of the installation.
fs::path package_folder() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path folder = (program.parent_path() / "../lib/cmake/silc").lexically_normal();
  if (!fs::exists(folder / "silcConfig.cmake"))
    throw Error(folder.string() +
                ": silc's CMake package is not there, which plugins are built with; install silc again");
  return folder;
}

// Runs a program to its end, its output appended to `log`, or shown as it comes where there is none. Returns its exit
// code.
int run(const std::vector<std::string>& line, const fs::path& log) {
  std::vector<char*> arguments;
  for (const std::string& word : line) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (log.empty()) {
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  }
  pid_t child = -1;
  const int fault = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (fault != 0) throw Error(line.front() + " cannot be run: " + std::strerror(fault));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> lines_of(const fs::path& log) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(log));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

bool holds(const std::string& line, std::string_view what) { return line.find(what) != std::string::npos; }

// An error of the compiler with the source that it quotes, one of the linker, or one of CMake with its explanation.
// Returns how many lines from `first` on belong to it; 0: none begins there.
size_t error_length(const std::vector<std::string>& lines, size_t first) {
  const auto while_following = [&](size_t most, const auto& belongs) {
    size_t length = 1;
    while (length <= most && first + length < lines.size() && belongs(lines[first + length])) ++length;
    return length;
  };
  const std::string& line = lines[first];
  if (holds(line, ": error: ") || holds(line, ": fatal error: ")) {
    if (line.starts_with("collect2:")) return 0;
    return while_following(kSnippetLines,
                           [](const std::string& next) { return next.starts_with(" ") && holds(next, "|"); });
  }
  if (holds(line, "undefined reference to ") || holds(line, "undefined symbol: ")) return 1;
  if (line.starts_with("CMake Error"))
    return while_following(kTailLines, [](const std::string& next) { return next.empty() || next.starts_with(" "); });
  return 0;
}

// The errors in a log of CMake, compiler and linker, each once, without commands, warnings and notes.
std::string terse_errors(const std::vector<std::string>& lines) {
  std::string text;
  std::set<std::string> seen;
  for (size_t at = 0; at < lines.size();) {
    const size_t length = error_length(lines, at);
    if (length > 0 && seen.insert(lines[at]).second && seen.size() <= kErrorsShown)
      for (size_t i = at; i < at + length; ++i)
        if (!lines[i].empty()) text += lines[i] + "\n";
    at += std::max<size_t>(length, 1);
  }
  if (seen.size() > kErrorsShown)
    text += fmt::format("and {} more\n", count(static_cast<int64_t>(seen.size() - kErrorsShown), "error"));
  return text;
}

std::string tail(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t at = lines.size() - std::min(lines.size(), kTailLines); at < lines.size(); ++at) text += lines[at] + "\n";
  return text;
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

class Build {
 public:
  Build(const Session& session, fs::path folder, fs::path package)
      : folder_(std::move(folder)),
        package_(std::move(package)),
        build_((folder_ / "build").lexically_normal()),
        log_(session.verbose ? fs::path() : build_ / "silc-build.log") {}

  // Returns false, having said why, if one of its parts fails.
  bool make(bool test) {
    const bool is_new = !fs::exists(build_ / "CMakeCache.txt");
    std::vector<std::string> configure = {"cmake",
                                          "-S",
                                          folder_.string(),
                                          "-B",
                                          build_.string(),
                                          "-Dsilc_DIR=" + package_.string(),
                                          std::string("-DBUILD_TESTING=") + (test ? "ON" : "OFF")};
    if (is_new) configure.emplace_back("-DCMAKE_BUILD_TYPE=Release");
    if (is_new && !find_program("ninja").empty()) configure.insert(configure.end(), {"-G", "Ninja"});
    return pass(configure, "it cannot be configured") &&
           pass({"cmake", "--build", build_.string()}, "it does not build") &&
           (!test || pass({"ctest", "--test-dir", build_.string(), "--output-on-failure"}, "its test fails"));
  }

  [[nodiscard]] const fs::path& folder() const { return build_; }

 private:
  // A step of its own log, so that its errors are not those of the one before.
  bool pass(const std::vector<std::string>& line, std::string_view fault) const {
    std::error_code ignored;
    fs::create_directories(build_, ignored);
    if (!log_.empty()) fs::remove(log_, ignored);
    if (run(line, log_) == 0) return true;
    if (log_.empty()) {
      complain(fmt::format("{}: {}", folder_.string(), fault));
      return false;
    }
    const auto lines = lines_of(log_);
    std::string errors = terse_errors(lines);
    if (errors.empty()) errors = tail(lines);
    // CMake hands absolute paths to the compiler.
    replace_all(errors, fs::canonical(folder_).string() + "/", folder_ == "." ? "" : folder_.string() + "/");
    complain(fmt::format("{}: {}:\n{}The whole log is {}", folder_.string(), fault, errors, log_.string()));
    return false;
  }

  fs::path folder_;
  fs::path package_;  // silc's CMake package
  fs::path build_;
  fs::path log_;  // empty: output is shown as it comes
};

void check_request(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error(folder.string() + ": there is no such folder; silc plugin new makes one with a plugin in it");
  if (!fs::exists(folder / "CMakeLists.txt"))
    throw Error((folder / "CMakeLists.txt").string() +
                " is missing, which says what is built; silc plugin new writes one");
  if (find_program("cmake").empty())
    throw Error("cmake is not on the PATH; install it (Debian and Ubuntu: cmake, g++, ninja-build)");
}

int report(const Session& session, const fs::path& folder, const fs::path& build_folder) {
  const Catalogue built = Catalogue::scan(std::vector{build_folder});
  for (const RefusedLibrary& refused : built.refused()) complain(refused.reason);
  if (built.plugins().empty() && built.refused().empty())
    complain(build_folder.string() + " holds no plugin; silc_add_plugin(NAME NAME.cpp) in CMakeLists.txt makes one");
  if (session.json) {
    auto plugins = nlohmann::ordered_json::array();
    for (const PluginInfo& plugin : built.plugins())
      plugins.push_back(
          {{"kind", kind_word(plugin.kind)}, {"name", plugin.name}, {"library", plugin.library.string()}});
    print_json({{"folder", folder.string()}, {"plugins", plugins}});
  } else {
    std::string text;
    for (const PluginInfo& plugin : built.plugins()) {
      text += fmt::format("{0} {1}: {2}\nnext: silc plugin check {2}\n", kind_name(plugin.kind), plugin.name,
                          plugin.library.string());
      const fs::path experiment = (folder / (plugin.name + ".toml")).lexically_normal();
      if (fs::exists(experiment))
        text += fmt::format("      silc run {} --plugin-path {}\n", experiment.string(), build_folder.string());
    }
    print(text);
  }
  return built.plugins().empty() || !built.refused().empty() ? 1 : 0;
}

int build(Session& session, const BuildOptions& options) {
  fs::path folder = options.folder.lexically_normal();
  if (!folder.has_filename() && folder.has_parent_path()) folder = folder.parent_path();  // "focal/" → "focal"
  check_request(folder);
  Build work(session, folder, package_folder());
  // Messages are read by us, so they must be in a language that we know.
  setenv("LC_ALL", "C.UTF-8", 1);
  session.started = true;
  if (!session.verbose)
    note(session, fmt::format("building {} (LibTorch's headers take some seconds)", folder.string()));
  if (!work.make(options.test)) return 1;
  return report(session, folder, work.folder());
}

}  // namespace

void add_plugin_build(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand(
      "build",
      "builds the plugin in a folder\n\nConfigures and builds DIR/build with CMake, against this silc and the LibTorch "
      "that it was built with (Torch_DIR or CMAKE_PREFIX_PATH name another place of it), and prints where the plugin "
      "lies. Of a failure it shows the errors alone; the log beside them holds all of it, and -v shows it as it comes. "
      "Exit code 1: it does not build, or its test fails.");
  command->footer("silc plugin build focal_clip\nsilc plugin build focal_clip --test");
  const auto options = std::make_shared<BuildOptions>();
  command
      ->add_option("folder", options->folder,
                   "a folder with a CMakeLists.txt, as silc plugin new makes it (default: .)")
      ->option_text("[DIR]");
  command->add_flag("--test", options->test, "builds and runs its test, too");
  command->callback(
      [options, &session] { session.command = [options, &session] { return build(session, *options); }; });
}

}  // namespace silc
