#include "cli/session.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "plugin/similar.h"
#include "silc/error.h"
#include "spec/experiment.h"

namespace silc {

std::filesystem::path Session::registry_file() const {
  if (registries.size() > 1)
    throw Error("--registry is given several times; only silc report, silc serve and silc diff take several");
  return registries.empty() ? runs / "registry.sqlite" : registries.front();
}

std::vector<Session> Session::for_each_registry() const {
  if (registries.size() < 2) return {*this};
  std::vector<Session> sessions;
  for (const auto& file : registries) {
    Session& session = sessions.emplace_back(*this);
    session.registries = {file};
    session.runs = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  }
  return sessions;
}

Catalogue Session::catalogue() const { return Catalogue::scan(plugin_folders(plugin_paths)); }

Session Session::with_plugins_of(const std::filesystem::path& experiment) const {
  Session with = *this;
  for (const auto& named : plugins_of(experiment)) {
    if (std::filesystem::exists(named))
      with.plugin_paths.push_back(named);
    else
      warn(experiment.string() + ": experiment.plugins names " + named.string() +
           ", which does not exist; build the plugins that it needs");
  }
  return with;
}

Registry Session::open_registry() const {
  if (!std::filesystem::exists(registry_file()))
    throw Error(registry_file().string() +
                ": there is no registry here; silc run makes one, --registry and --runs name another place");
  return Registry::open_existing(registry_file(), runs);
}

PlannedExperiment Session::find_experiment(const Registry& registry, const std::string& name) const {
  const auto known = registry.experiments();
  if (known.empty()) throw Error(registry_file().string() + ": no experiment was run yet");
  if (auto experiment = registry.experiment(name.empty() ? known.front() : name)) return *experiment;
  throw Error(registry_file().string() + ": there is no experiment \"" + name + "\"" + suggestion(name, known));
}

std::string Session::runs_fault() const {
  std::filesystem::path place = std::filesystem::absolute(runs).lexically_normal();
  while (!std::filesystem::exists(std::filesystem::symlink_status(place)) && place != place.parent_path())
    place = place.parent_path();
  std::error_code fault;
  if (!std::filesystem::is_directory(place))
    fault = std::make_error_code(std::errc::not_a_directory);
  else if (access(place.c_str(), W_OK | X_OK) != 0)
    fault = std::error_code(errno, std::generic_category());
  return fault ? runs.string() + ": run folders cannot be written here: " + fault.message() : std::string();
}

bool Session::color(int descriptor) const {
  const char* unwanted = std::getenv("NO_COLOR");
  return !no_color && (unwanted == nullptr || *unwanted == '\0') && isatty(descriptor) == 1;
}

void complain(std::string_view message) {
  std::fprintf(stderr, "silc: %.*s\n", static_cast<int>(message.size()), message.data());
}

void warn(std::string_view message) {
  std::fprintf(stderr, "silc: warning: %.*s\n", static_cast<int>(message.size()), message.data());
}

void note(const Session& session, std::string_view message) {
  if (!session.quiet) std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  throw Error(std::string("standard output cannot be written: ") + std::strerror(errno));
}

void print_json(const nlohmann::ordered_json& value) {
  print(value.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace silc
