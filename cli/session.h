// What every command needs: the common flags, and where words go. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/catalogue.h"
#include "registry/registry.h"

namespace silc {

struct Session {
  std::vector<std::filesystem::path> registries;  // --registry; none: registry.sqlite in the runs folder
  std::filesystem::path runs = "runs";
  std::vector<std::filesystem::path> plugin_paths;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  bool no_color = false;

  // Set by the command line: what to do. Returns the exit code.
  std::function<int()> command;
  // From here on a fault is no longer "nothing was started".
  bool started = false;

  // Throws silc::Error if there are several, which few commands take.
  [[nodiscard]] std::filesystem::path registry_file() const;
  // For each registry a session that has that one alone. Of several, each is with the run folders beside it.
  [[nodiscard]] std::vector<Session> for_each_registry() const;
  [[nodiscard]] Catalogue catalogue() const;
  // With the plugins that the experiment file names, after those of the command line.
  [[nodiscard]] Session with_plugins_of(const std::filesystem::path& experiment) const;
  // For commands that only read. Throws silc::Error if there is no registry.
  [[nodiscard]] Registry open_registry() const;
  // The experiment called `name`; empty: the one planned last. Throws silc::Error that suggests similar names.
  [[nodiscard]] PlannedExperiment find_experiment(const Registry& registry, const std::string& name) const;
  // Why run folders cannot be written; empty if they can. Creates nothing.
  [[nodiscard]] std::string runs_fault() const;
  // Whether what goes to `descriptor` may be coloured.
  [[nodiscard]] bool color(int descriptor) const;
};

// "silc: ..." and the like on stderr.
void complain(std::string_view message);
void warn(std::string_view message);
// Unless -q.
void note(const Session& session, std::string_view message);

// On stdout. A reader that has gone away (head) ends the program quietly.
void print(std::string_view text);
// Bytes that are not UTF-8 (a log may hold some) are replaced.
void print_json(const nlohmann::ordered_json& value);

// Each adds a command to the command line.
void add_run(CLI::App& app, Session& session);
void add_eval(CLI::App& app, Session& session);
void add_report(CLI::App& app, Session& session);
void add_serve(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);
void add_show(CLI::App& app, Session& session);
void add_diff(CLI::App& app, Session& session);
void add_plugin(CLI::App& app, Session& session);
void add_data(CLI::App& app, Session& session);
void add_checkpoint(CLI::App& app, Session& session);
void add_registry(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_slurm_task(CLI::App& app, Session& session);

}  // namespace silc
