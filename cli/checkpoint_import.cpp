// silc checkpoint import: what model a file of others is of, and that model as a file of silc's.
#include <fmt/format.h>

#include <memory>

#include "cli/checkpoint_commands.h"
#include "cli/option_arguments.h"
#include "cli/session.h"
#include "cli/text.h"
#include "silc/error.h"
#include "spec/checkpoint.h"
#include "spec/overlay.h"
#include "spec/toml_document.h"
#include "weights/export.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

struct ImportArguments {
  fs::path path;
  std::vector<std::string> sets;
  fs::path output;
  bool force = false;
};

// What the settings leave open, as sentences.
std::vector<Question> open_questions(const Setting& settings, const CheckpointFile& checkpoint) {
  std::vector<Question> open;
  for (const Question& question : checkpoint.file.questions)
    if (!answers(settings, question)) open.push_back(question);
  return open;
}

void print_model(const CheckpointFile& checkpoint, const Setting& settings, const std::vector<Question>& open) {
  const ModelFile& file = checkpoint.file;
  print(fmt::format("{}: {}, {}\n\n", file.path.string(), file.family,
                    count(static_cast<int64_t>(file.tensors.size()), "tensor")));
  print(write_toml(settings));
  if (!file.assumed.empty()) print("\nAssumed:\n");
  for (const std::string& sentence : file.assumed) print("  " + sentence + "\n");
  if (!file.left.empty())
    print(fmt::format("\nNot needed: {}{}\n", file.left.front(),
                      file.left.size() > 1 ? fmt::format(" and {} more", file.left.size() - 1) : ""));
  if (!open.empty()) print("\nNot in the file:\n");
  for (const Question& question : open) print(fmt::format("  model.{}: {}\n", question.key, question.what));
}

int import_model(Session& session, const ImportArguments& arguments) {
  Checkpoints checkpoints;
  const CheckpointFile& checkpoint = checkpoints.read(arguments.path);
  const Setting settings = model_settings(checkpoint, arguments.sets);
  const std::vector<Question> open = open_questions(settings, checkpoint);
  if (!arguments.output.empty() && !open.empty()) {
    std::string message = checkpoint.file.path.string() + " does not say what its model is in all:";
    for (const Question& question : open) message += fmt::format("\n  model.{}: {}", question.key, question.what);
    throw Error(message + "\nSay it with --set, as in --set model.image.mlp='\"gelu\"'");
  }
  if (session.json) {
    auto asked = nlohmann::ordered_json::object();
    for (const Question& question : open) asked[question.key] = question.what;
    print_json({{"file", checkpoint.file.path.string()},
                {"family", checkpoint.file.family},
                {"hash", checkpoint.hash},
                {"tensors", checkpoint.file.tensors.size()},
                {"model", to_json(settings)["model"]},
                {"assumed", checkpoint.file.assumed},
                {"not_needed", checkpoint.file.left},
                {"questions", asked}});
  } else {
    print_model(checkpoint, settings, open);
  }
  if (arguments.output.empty()) return open.empty() ? 0 : 1;
  ModelFile file = read_model_file(arguments.path);
  file.model = to_json(settings)["model"];
  if (!file.has("text")) throw Error(file.path.string() + " is a picture model; a file of silc's has a text tower too");
  session.started = true;
  write_export(plan_export(file, {.format = ExportFormat::safetensors}), file, arguments.output, arguments.force);
  note(session, fmt::format("written to {}; name it in experiments as checkpoint = \"{}\"", arguments.output.string(),
                            arguments.output.string()));
  return 0;
}

}  // namespace

Setting model_settings(const CheckpointFile& checkpoint, const std::vector<std::string>& sets) {
  Setting settings{{}, Setting::Table{}};
  settings.set("model", checkpoint.model);
  Faults faults;
  for (const std::string& set : sets)
    if (std::optional<Setting> setting = parse_assignment(set, faults)) {
      if (setting->find("model") == nullptr)
        faults.add({"--set"}, fmt::format("{}: only keys of the model can be set here, as model.image.mlp", set));
      expand_plugin_names(*setting);
      lay_over(settings, *setting);
    }
  faults.throw_if_any();
  return settings;
}

void add_checkpoint_import(CLI::App& group, Session& session) {
  const auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = group.add_subcommand(
      "import",
      "what model a file of others is of\n\nPrints the settings that the file or folder gives an experiment's [model]: "
      "what its tensors, and the settings beside them, say, what is assumed because it is usual, and what it does not "
      "say. Exit code 1: something is not said. With --output the model as a file of silc's; experiments and silc eval "
      "take files of others as they are.");
  command
      ->add_option("path", arguments->path, "a file or folder of open_clip, OpenAI, Hugging Face, big_vision or timm")
      ->option_text("FILE|FOLDER")
      ->required();
  add_set_flag(*command, arguments->sets,
               "says what the file does not: --set model.image.mlp='\"quick_gelu\"'; repeatable");
  command->add_option("--output", arguments->output, "a folder to write, with the model as silc has it")
      ->option_text("DIR");
  command->add_flag("--force", arguments->force, "replace what an earlier import or export left there");
  command->footer(
      "silc checkpoint import clip-vit-base-patch32/\nsilc checkpoint import ViT-B-32.safetensors --set "
      "model.image.mlp='\"gelu\"' --set model.text.mlp='\"gelu\"' --output vit-b-32");
  command->callback(
      [arguments, &session] { session.command = [=, &session] { return import_model(session, *arguments); }; });
}

}  // namespace silc
