#include "engine/checkpoint.h"

#include <c10/util/StringUtil.h>

#include <array>
#include <cstdio>

#include "engine/tensor_file.h"
#include "silc/error.h"
#include "spec/cell.h"

namespace silc {
namespace {

constexpr const char* kRemedy = "; start this cell anew with silc run --fresh";

std::string required(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) throw Error(c10::str("it has no \"", key, "\" in its metadata"));
  return found->second;
}

int64_t required_number(const std::map<std::string, std::string>& metadata, const char* key) {
  const std::string text = required(metadata, key);
  try {
    return std::stoll(text);
  } catch (const std::exception&) {
    throw Error(c10::str("its \"", key, "\" is \"", text, "\", which is no number"));
  }
}

TrainingState load(const SafetensorsFile& file, const std::map<std::string, at::Tensor>& tensors,
                   const std::string& cell_id) {
  const auto& metadata = file.metadata();
  check_owner(file, cell_id);
  const std::string version = required(metadata, "engine_version");
  if (version != std::to_string(kEngineVersion))
    throw Error(c10::str("it was written by engine version ", version, ", and this is ", kEngineVersion));
  TrainingState state{.step = required_number(metadata, "step"),
                      .examples = required_number(metadata, "examples"),
                      .flops = required_number(metadata, "flops")};
  // Not in those of engines that did not watch; going on from one, watching begins.
  if (const auto health = metadata.find("health"); health != metadata.end()) state.health = health->second;
  if (const auto samples = metadata.find("unreadable"); samples != metadata.end()) state.unreadable = samples->second;
  for (const auto& [name, view] : file.tensors())
    if (!tensors.contains(name)) throw Error(c10::str("it holds a tensor \"", name, "\" that this cell does not have"));
  for (const auto& [name, tensor] : tensors) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end()) throw Error(c10::str("it lacks the tensor \"", name, "\""));
    copy_tensor(found->second, name, tensor);
  }
  return state;
}

}  // namespace

void check_owner(const SafetensorsFile& file, const std::string& cell_id) {
  const std::string cell = required(file.metadata(), "cell");
  if (cell != cell_id) throw Error(c10::str("it belongs to cell ", cell, ", not to ", cell_id));
}

std::string checkpoint_name(int64_t step) {
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "step-%08lld.safetensors", static_cast<long long>(step));
  return name.data();
}

void write_checkpoint(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                      const TrainingState& state, const std::string& cell_id) {
  std::map<std::string, std::string> metadata = {{"cell", cell_id},
                                                 {"engine_version", std::to_string(kEngineVersion)},
                                                 {"step", std::to_string(state.step)},
                                                 {"examples", std::to_string(state.examples)},
                                                 {"flops", std::to_string(state.flops)},
                                                 {"health", state.health}};
  if (!state.unreadable.empty()) metadata["unreadable"] = state.unreadable;
  write_tensors(file, tensors, metadata);
}

TrainingState load_checkpoint(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                              const std::string& cell_id) {
  try {
    return load(SafetensorsFile(file), tensors, cell_id);
  } catch (const Error& error) {
    const std::string what = error.what();
    const std::string named = what.find(file.string()) == std::string::npos ? file.string() + ": " + what : what;
    throw Error("cannot go on from " + named + kRemedy);
  }
}

std::optional<ResumePoint> find_resume_point(const RunFolder& folder) {
  uint64_t offset = 0;
  const std::vector<Event> events = read_events(folder.events(), offset);
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->value("event", "") != "checkpointed") continue;
    ResumePoint point{.file = folder.path / event->value("file", ""),
                      .cost = {.core_seconds = event->value("core_seconds", 0.0),
                               .seconds = event->value("seconds", 0.0),
                               .peak_memory = event->value("peak_memory", int64_t{0}),
                               .device = std::nullopt}};
    read_measured(*event, point.cost);
    if (std::filesystem::is_regular_file(point.file)) return point;
  }
  return std::nullopt;
}

}  // namespace silc
