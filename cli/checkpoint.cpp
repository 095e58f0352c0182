// silc checkpoint: what is in a file of weights, of silc or of others.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "cli/checkpoint_commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "weights/statistics.h"
#include "weights/weights.h"

namespace silc {

namespace {

using Json = nlohmann::ordered_json;

struct InspectArguments {
  std::filesystem::path file;
  bool tensors = false;
};

struct Inspected {
  std::map<std::string, WeightFigures> tensors;  // by name; of those that can be read
  std::vector<std::string> faults;
};

Inspected inspect_all(const Session& session, const WeightsFile& file) {
  Inspected inspected;
  for (const auto& [name, shape] : file.tensors()) try {
      inspected.tensors[name] = figures_of(file, name);
      if (const size_t read = inspected.tensors.size(); read % 1000 == 0)
        note(session, fmt::format("{} tensors read", read));
    } catch (const Error& error) {
      inspected.faults.emplace_back(error.what());
    }
  return inspected;
}

// Image and text first, then by name.
std::vector<std::pair<std::string, WeightFigures>> by_tower(const Inspected& inspected) {
  std::map<std::string, WeightFigures> towers;
  for (const auto& [name, figures] : inspected.tensors) towers[tower_of(name)].add(figures);
  std::vector<std::pair<std::string, WeightFigures>> ordered(towers.begin(), towers.end());
  const auto rank = [](const auto& tower) { return tower.first == "image" ? 0 : tower.first == "text" ? 1 : 2; };
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return ordered;
}

std::string dtypes_text(const WeightFigures& figures) {
  std::string text;
  for (const auto& [dtype, parameters] : figures.dtypes) text += (text.empty() ? "" : ", ") + dtype;
  return text;
}

// "124", "86.2 M"
std::string parameters_text(int64_t parameters) {
  const std::string text = format_quantity(static_cast<double>(parameters));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Norm, largest and not finite; nothing of what holds integers alone.
std::vector<std::string> values_text(const WeightFigures& figures) {
  if (figures.floating == 0) return {"", "", ""};
  return {format_number(std::sqrt(figures.squares)), format_number(figures.greatest),
          std::to_string(figures.not_finite)};
}

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Json figures_json(const WeightFigures& figures) {
  return {{"tensors", figures.tensors},         {"parameters", figures.parameters}, {"dtypes", figures.dtypes},
          {"norm", std::sqrt(figures.squares)}, {"largest", figures.greatest},      {"not_finite", figures.not_finite}};
}

void print_table(const WeightsFile& file, const InspectArguments& arguments, const Inspected& inspected) {
  WeightFigures all;
  for (const auto& [name, figures] : inspected.tensors) all.add(figures);
  print(fmt::format("{}: {}, {}, {} parameters, {}\n", arguments.file.string(), file.format(),
                    count(static_cast<int64_t>(file.tensors().size()), "tensor"), parameters_text(all.parameters),
                    format_bytes(static_cast<double>(std::filesystem::file_size(arguments.file)))));
  constexpr std::size_t kShown = 12;  // of the entries beside the tensors
  constexpr std::size_t kLength = 60;
  std::size_t shown = 0;
  for (const auto& [name, value] : file.metadata()) {
    if (shown++ == kShown) {
      print(fmt::format("  and {} more; --json lists all\n", file.metadata().size() - kShown));
      break;
    }
    const std::string first = value.substr(0, value.find('\n'));
    print(fmt::format("  {} = {}\n", name, first.size() > kLength ? first.substr(0, kLength) + "…" : first));
  }
  if (arguments.tensors) {
    TextTable table({"tensor", "type", "shape", "norm", "largest", "not finite"},
                    {false, false, false, true, true, true});
    for (const auto& [name, figures] : inspected.tensors)
      table.add(joined({name, dtypes_text(figures), shape_text(file.tensors().at(name).shape)}, values_text(figures)));
    print(table.format());
    return;
  }
  TextTable table({"part", "tensors", "parameters", "types", "norm", "largest", "not finite"},
                  {false, true, true, false, true, true, true});
  for (const auto& [tower, figures] : by_tower(inspected))
    table.add(
        joined({tower, std::to_string(figures.tensors), parameters_text(figures.parameters), dtypes_text(figures)},
               values_text(figures)));
  print(table.format());
}

int inspect_file(Session& session, const InspectArguments& arguments) {
  const std::unique_ptr<WeightsFile> file = open_weights(arguments.file);
  session.started = true;
  const Inspected inspected = inspect_all(session, *file);
  std::vector<std::string> faults = inspected.faults;
  for (const auto& [name, figures] : inspected.tensors)
    if (figures.not_finite > 0)
      faults.push_back(fmt::format("{}: {} of {} values are not finite", name, figures.not_finite, figures.parameters));
  if (session.json) {
    auto towers = Json::object();
    for (const auto& [tower, figures] : by_tower(inspected)) towers[tower] = figures_json(figures);
    auto tensors = Json::object();
    for (const auto& [name, figures] : inspected.tensors) {
      tensors[name] = figures_json(figures);
      tensors[name]["shape"] = file->tensors().at(name).shape;
    }
    print_json({{"file", arguments.file.string()},
                {"format", file->format()},
                {"metadata", file->metadata()},
                {"parts", towers},
                {"tensors", tensors},
                {"faults", faults}});
  } else {
    print_table(*file, arguments, inspected);
  }
  for (const std::string& fault : faults) complain(fault);
  return faults.empty() ? 0 : 1;
}

}  // namespace

void add_checkpoint(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("checkpoint", "files of weights, of silc or of others");
  group->require_subcommand(1);
  const auto arguments = std::make_shared<InspectArguments>();
  CLI::App* inspect_command =
      group->add_subcommand("inspect",
                            "what a file of weights holds\n\nReads safetensors, PyTorch's files (of torch.save since "
                            "1.6, and TorchScript) and "
                            "numpy's .npz, by what is in them, and runs nothing of them: towers, parameters, types, "
                            "norms, and values that are "
                            "not finite. Exit code 1: there are such values, or tensors that cannot be read.");
  inspect_command->add_option("file", arguments->file, "the file")->option_text("FILE")->required();
  inspect_command->add_flag("--tensors", arguments->tensors, "a line for each tensor");
  inspect_command->footer("silc checkpoint inspect ViT-B-16.safetensors");
  inspect_command->callback(
      [arguments, &session] { session.command = [=, &session] { return inspect_file(session, *arguments); }; });
  add_checkpoint_import(*group, session);
  add_checkpoint_export(*group, session);
}

}  // namespace silc
