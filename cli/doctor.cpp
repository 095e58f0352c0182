// silc doctor: is everything there, and how to mend what is not.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "cli/session.h"
#include "cli/text.h"
#include "schedule/engine_process.h"
#include "schedule/gpus.h"
#include "schedule/threads.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr double kLowDisk = 5e9;   // bytes: a handful of checkpoints
constexpr double kNoDisk = 0.5e9;  // bytes: not even one
constexpr const char* kDataPackage = "dataset-fashion-mnist";
constexpr const char* kDataFolder = "fashion-mnist";

enum class Verdict { ok, warning, problem };

std::string_view name_of(Verdict verdict) {
  return verdict == Verdict::ok ? "ok" : verdict == Verdict::warning ? "warning" : "problem";
}

struct Finding {
  Verdict verdict = Verdict::ok;
  std::string what;
  std::string remedy;  // empty if there is nothing to mend
};

using Findings = std::vector<Finding>;

Finding describe(const Gpu& gpu) {
  const std::string name = gpu_label(gpu.visible) + ": " + gpu.name;
  if (gpu.memory == 0) return {Verdict::ok, name, ""};
  const std::string memory = fmt::format("{}, {} of {} free", name, format_bytes(static_cast<double>(gpu.free_memory)),
                                         format_bytes(static_cast<double>(gpu.memory)));
  if (2 * gpu.free_memory >= gpu.memory) return {Verdict::ok, memory, ""};
  return {Verdict::warning, memory + ": others use it",
          "nvidia-smi says who; CUDA_VISIBLE_DEVICES names those that silc shall use"};
}

void look_at_gpus(const nlohmann::json& about, Findings& findings) {
  const std::vector<Gpu> gpus = gpus_of(about);
  for (const Gpu& gpu : gpus) findings.push_back(describe(gpu));
  if (!gpus.empty()) return;
  if (const auto fault = about.find("gpu_fault"); fault != about.end())
    findings.push_back(
        {Verdict::warning, fault->value("what", "") + ": cells train on the CPU", fault->value("remedy", "")});
  else
    findings.push_back({Verdict::ok, "no GPU: cells train on the CPU", ""});
}

void look_at_engine(const Session& session, Findings& findings) {
  nlohmann::json about;
  std::string program;
  try {
    const Engine engine{find_engine(), session.plugin_paths};
    program = engine.program.string();
    about = ask_engine(engine, {"about"});
  } catch (const Error& error) {
    findings.push_back(
        {Verdict::problem, error.what(), "./dev build makes both programs; SILC_ENGINE names another one"});
    return;
  }
  const std::string version = about.value("engine_version", "?");
  findings.push_back(
      {Verdict::ok, fmt::format("silc-engine {}, LibTorch {}: {}", version, about.value("torch", "?"), program), ""});
  look_at_gpus(about, findings);
  const bool bf16 = about.value("bf16", false);
  findings.push_back(
      {Verdict::ok,
       "CPU: " + about.value("cpu", "?") +
           (bf16 ? ", computes in bf16" : ", does not compute in bf16: engine.precision = \"fp32\" is best"),
       ""});
}

void look_at_plugins(const Session& session, Findings& findings) {
  try {
    const auto folders = plugin_folders(session.plugin_paths);
    const Catalogue catalogue = Catalogue::scan(folders);
    std::string list;
    for (const fs::path& folder : folders) list += (list.empty() ? "" : ", ") + folder.string();
    const auto number = static_cast<int64_t>(catalogue.plugins().size());
    findings.push_back(number > 0 ? Finding{Verdict::ok, count(number, "plugin") + " in " + list, ""}
                                  : Finding{Verdict::problem, "no plugins" + (list.empty() ? "" : " in " + list),
                                            "build or install silc's plugins, or name a folder with --plugin-path"});
    for (const RefusedLibrary& refused : catalogue.refused())
      findings.push_back({Verdict::problem, refused.library.string() + ": " + refused.reason,
                          "build it again against this silc, or remove it"});
  } catch (const Error& error) {
    findings.push_back({Verdict::problem, error.what(), "mend --plugin-path or SILC_PLUGIN_PATH"});
  }
}

// The folder itself or the nearest one above it that exists.
fs::path existing_part(fs::path folder) {
  folder = fs::absolute(folder).lexically_normal();
  while (!fs::exists(folder) && folder != folder.parent_path()) folder = folder.parent_path();
  return folder;
}

void look_at_runs(const Session& session, Findings& findings) {
  const std::string fault = session.runs_fault();
  if (!fault.empty()) {
    findings.push_back({Verdict::problem, fault, "name another place with --runs or SILC_RUNS"});
    return;
  }
  findings.push_back({Verdict::ok, "run folders: " + session.runs.string(), ""});
  std::error_code error;
  const auto available = static_cast<double>(fs::space(existing_part(session.runs), error).available);
  const Verdict verdict = error || available < kNoDisk ? Verdict::problem
                          : available < kLowDisk       ? Verdict::warning
                                                       : Verdict::ok;
  findings.push_back({verdict, format_bytes(error ? 0 : available) + " free where they lie",
                      verdict == Verdict::ok ? "" : "remove what is not needed, or name another place with --runs"});
}

void look_at_registry(const Session& session, Findings& findings) {
  const fs::path file = session.registry_file();
  if (!fs::exists(file)) {
    findings.push_back({Verdict::ok, "registry: " + file.string() + ", not there yet", ""});
    return;
  }
  try {
    const auto faults = session.open_registry().check();
    if (access(file.c_str(), W_OK) != 0)
      findings.push_back({Verdict::problem, file.string() + ": cannot be written",
                          "mend its permissions, or name another place with --registry"});
    else if (faults.empty())
      findings.push_back({Verdict::ok, "registry: " + file.string(), ""});
    for (const std::string& fault : faults)
      findings.push_back({Verdict::problem, file.string() + ": " + fault, "silc registry rebuild makes it again"});
  } catch (const Error& error) {
    findings.push_back({Verdict::problem, error.what(), "move it away; silc registry rebuild makes a new one"});
  }
}

std::optional<fs::path> find_data() {
  std::vector<fs::path> places;
  if (const char* named = std::getenv("SILC_DATA"); named != nullptr && *named != '\0')
    places = {fs::path(named), fs::path(named) / kDataFolder};
  places.emplace_back(fs::path("/usr/share/datasets") / kDataFolder);
  for (const fs::path& place : places)
    if (fs::exists(place / "train-images-idx3-ubyte.gz") || fs::exists(place / "train-images-idx3-ubyte")) return place;
  return std::nullopt;
}

void look_at_data(Findings& findings) {
  const char* named = std::getenv("SILC_DATA");
  if (named != nullptr && *named != '\0' && !fs::is_directory(named))
    findings.push_back(
        {Verdict::problem, std::string("SILC_DATA is ") + named + ", which is not a folder", "mend SILC_DATA"});
  if (const auto place = find_data())
    findings.push_back({Verdict::ok, "Fashion-MNIST: " + place->string(), ""});
  else
    findings.push_back(
        {Verdict::warning, "Fashion-MNIST was not found, so its datasets cannot be used",
         fmt::format("apt install {}, or set SILC_DATA to a folder that holds {}", kDataPackage, kDataFolder)});
}

int doctor(const Session& session) {
  constexpr PluginStamp kStamp = current_stamp();
  Findings findings;
  findings.push_back({Verdict::ok,
                      fmt::format("silc {}: takes plugins of ABI {}, built for LibTorch {} with a compiler of ABI {}",
                                  SILC_VERSION, kStamp.abi, kStamp.torch, kStamp.compiler),
                      ""});
  look_at_engine(session, findings);
  findings.push_back({Verdict::ok, count(available_threads(), "thread") + " available", ""});
  look_at_plugins(session, findings);
  look_at_runs(session, findings);
  look_at_registry(session, findings);
  look_at_data(findings);

  int64_t problems = 0;
  auto json = nlohmann::ordered_json::array();
  std::string text;
  for (const Finding& finding : findings) {
    problems += finding.verdict == Verdict::problem ? 1 : 0;
    json.push_back({{"verdict", name_of(finding.verdict)}, {"what", finding.what}, {"remedy", finding.remedy}});
    text += fmt::format("{:<8} {}\n", name_of(finding.verdict), finding.what);
    if (!finding.remedy.empty()) text += fmt::format("{:<8} → {}\n", "", finding.remedy);
  }
  if (session.json)
    print_json({{"problems", problems}, {"findings", json}});
  else
    print(text);
  return problems == 0 ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "doctor",
      "versions, devices, threads, plugins, disk, data: what is wrong and how to mend it\n\nEach line is ok, a warning "
      "or a problem, with its remedy below. Exit code 1 if there is a problem. Changes nothing.");
  command->footer("silc doctor --runs /scratch/runs");
  command->callback([&session] { session.command = [&session] { return doctor(session); }; });
}

}  // namespace silc
