// silc-engine: trains and evaluates one cell in a process of its own. Started by silc; docs/architecture.md has the
// protocol.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "engine/accelerator.h"
#include "engine/assembly.h"
#include "engine/conformance/conformance.h"
#include "engine/count.h"
#include "engine/data_tools.h"
#include "engine/environment.h"
#include "engine/fingerprint.h"
#include "engine/illustrate.h"
#include "engine/measure.h"
#include "engine/plugin_scope.h"
#include "engine/preflight.h"
#include "engine/run.h"
#include "silc/error.h"

// Read by jemalloc, which the engine is linked with: keep freed memory rather than give it back to the system. A
// training step asks for the same large buffers again and again, and fresh pages for each cost a quarter of its time.
extern "C" __attribute__((visibility("default"))) const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1";

namespace {

void print(const nlohmann::json& json) {
  std::cout << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

nlohmann::json parse_input() {
  auto parsed = nlohmann::json::parse(std::cin, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw silc::Error("silc-engine expects JSON on its standard input");
  return parsed;
}

// Idle OpenMP threads spin for milliseconds before they sleep, which counts as CPU time and takes it from cells that
// run beside this one: on a busy machine half of a step's core-seconds. The runtime reads the limit when it is loaded,
// before main, hence the second start. Whoever sets one of these variables decides instead.
void limit_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);  // returns only if it fails: then on with spinning threads
}

struct CheckRequest {
  std::filesystem::path library;
  std::string kind;
  std::string name;
  std::string options = "{}";
  int64_t threads = 0;
};

int check(const CheckRequest& request) {
  const std::vector<silc::PluginInfo> plugins = silc::read_plugins(request.library);
  const auto plugin = std::find_if(plugins.begin(), plugins.end(), [&](const silc::PluginInfo& each) {
    return each.name == request.name && silc::kind_name(each.kind) == request.kind;
  });
  if (plugin == plugins.end())
    throw silc::Error(request.library.string() + " holds no " + request.kind + " \"" + request.name + "\"");
  const auto options = nlohmann::json::parse(request.options, nullptr, /*allow_exceptions=*/false);
  if (!options.is_object()) throw silc::Error("--options takes a JSON object, not " + request.options);
  silc::prepare_torch(request.threads, at::kCPU);
  silc::conformance::check_plugin(*plugin, options, print);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("Trains and evaluates one cell; started by silc.", "silc-engine");
  app.set_version_flag("--version", SILC_VERSION);
  app.require_subcommand(1);
  std::filesystem::path folder;
  std::filesystem::path cell;
  int64_t threads = 0;
  std::vector<std::filesystem::path> plugin_path;
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("--plugin-path", plugin_path, "where to look for plugins first");
    return command;
  };
  CLI::App* run_command = add("run", "train and evaluate the cell of a run folder");
  run_command->add_option("--folder", folder, "the run folder")->required()->check(CLI::ExistingDirectory);
  run_command->add_option("--threads", threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  double until = 1;
  run_command->add_option("--until", until, "part of the budget at which training pauses (exit code 3)")
      ->check(CLI::Range(0.0, 1.0));
  CLI::App* measure_command = add("measure", "predict the cost of a cell from a few steps");
  measure_command->add_option("--cell", cell, "a cell.toml")->required()->check(CLI::ExistingFile);
  measure_command->add_option("--threads", threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  CLI::App* count_command = add("count", "count what training a cell takes, without computing it");
  count_command->add_option("--cell", cell, "a cell.toml")->required()->check(CLI::ExistingFile);
  int64_t steps = 20;
  CLI::App* bench_command = add("bench", "time training steps of a cell without their data");
  bench_command->add_option("--cell", cell, "a cell.toml")->required()->check(CLI::ExistingFile);
  bench_command->add_option("--threads", threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  bench_command->add_option("--steps", steps, "that are timed")->check(CLI::PositiveNumber);
  CLI::App* fingerprint_command = add("fingerprint", "fingerprints of the data sources on standard input");
  CLI::App* preflight_command = add("preflight", "check the cells on standard input before any of them is trained");
  preflight_command->add_option("--threads", threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  CLI::App* data_command = add("data", "look through the dataset on standard input: check, preview, pack");
  CLI::App* illustrate_command =
      add("illustrate", "show what the models of the cells on standard input make of pictures");
  illustrate_command->add_option("--threads", threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  CLI::App* about_command = add("about", "versions and devices");
  CheckRequest checked;
  CLI::App* check_command = app.add_subcommand("check", "check that a plugin keeps the promises of its interface");
  check_command->add_option("--library", checked.library, "its library")->required();
  check_command->add_option("--kind", checked.kind, "objective, image backbone, …")->required();
  check_command->add_option("--name", checked.name, "its name")->required();
  check_command->add_option("--options", checked.options, "values of options, a JSON object");
  check_command->add_option("--threads", checked.threads, "threads of LibTorch")->check(CLI::NonNegativeNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  const bool computes = run_command->parsed() || measure_command->parsed() || bench_command->parsed() ||
                        preflight_command->parsed() || illustrate_command->parsed() || check_command->parsed();
  if (computes) limit_spinning(argv);
  if (run_command->parsed())
    return silc::run_cell({.folder = folder, .threads = threads, .plugin_path = plugin_path, .until = until});
  if (measure_command->parsed())
    if (const auto measured = silc::measure({.cell = cell, .threads = threads, .plugin_path = plugin_path}))
      print(*measured);
  if (count_command->parsed()) print(silc::count({.cell = cell, .plugin_path = plugin_path}));
  if (bench_command->parsed())
    print(silc::bench({.cell = cell, .threads = threads, .plugin_path = plugin_path}, steps));
  if (fingerprint_command->parsed())
    print(silc::fingerprints(parse_input(), silc::Catalogue::scan(silc::plugin_folders(plugin_path))));
  if (preflight_command->parsed())
    silc::preflight({.question = parse_input(), .threads = threads},
                    silc::Catalogue::scan(silc::plugin_folders(plugin_path)), print);
  if (data_command->parsed())
    silc::use_data(parse_input(), silc::Catalogue::scan(silc::plugin_folders(plugin_path)), print);
  if (illustrate_command->parsed())
    silc::illustrate(parse_input(), threads, silc::Catalogue::scan(silc::plugin_folders(plugin_path)), print);
  if (about_command->parsed()) print(silc::describe_engine());
  if (check_command->parsed()) return check(checked);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // A terminal that is gone must not end a training.
  signal(SIGPIPE, SIG_IGN);
  silc::report_crashes();
  silc::number_devices_by_address();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "silc-engine: %s\n", error.what());
    return 2;
  }
}
