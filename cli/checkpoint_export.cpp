// silc checkpoint export: a model as open_clip, transformers or any reader of safetensors takes it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/checkpoint_commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "silc/error.h"
#include "spec/checkpoint.h"
#include "spec/toml_document.h"
#include "weights/export.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

struct ExportArguments {
  std::string subject;
  std::string format = "safetensors";
  std::string weights = "student";
  fs::path output;
  std::vector<std::string> settings;
  bool without_tokenizer = false;
  bool without_decoder = false;
  bool force = false;
};

// A path, or a cell as silc show takes it.
fs::path find_model(const Session& session, const std::string& subject) {
  if (fs::exists(subject)) return subject;
  if (!fs::exists(session.registry_file()))
    throw Error(fmt::format("there is no file or folder {}, and no registry in {} that would know a cell of this name",
                            subject, session.registry_file().string()));
  return session.runs / session.open_registry().find_cell(subject).cell.folder;
}

// With the model's settings, and what else silc's own format keeps: what it was trained with, and what a tokenizer that
// learns its vocabulary from captions has it from.
ModelFile read_whole(const fs::path& path, ExportFormat format) {
  CheckpointFile checkpoint = with_settings(read_model_file(path));
  checkpoint.file.model = to_json(checkpoint.model);
  if (format != ExportFormat::safetensors) return std::move(checkpoint.file);
  if (checkpoint.objective) checkpoint.file.model["objective"] = to_json(*checkpoint.objective);
  if (checkpoint.captions) checkpoint.file.model["captions"] = to_json(*checkpoint.captions);
  return std::move(checkpoint.file);
}

// Lays KEY=VALUE over the model's settings; what a file does not say of its model is answered by that.
void lay_over(ModelFile& file, const std::vector<std::string>& assignments) {
  Faults faults;
  for (const std::string& assignment : assignments) {
    const std::optional<Setting> setting = parse_assignment(assignment, faults);
    const Entry* const model = setting ? setting->find("model") : nullptr;
    if (model != nullptr)
      file.model.merge_patch(to_json(model->value));
    else if (setting)
      faults.add(setting->place,
                 fmt::format("{}: only keys of the model can be set here, as model.image.mlp", assignment));
  }
  faults.throw_if_any();
}

int export_model(Session& session, const ExportArguments& arguments) {
  if (arguments.weights != "student" && arguments.weights != "teacher")
    throw Error(fmt::format("--weights {}: choose student or teacher", arguments.weights));
  const ExportRequest request{.format = parse_export_format(arguments.format),
                              .tokenizer = !arguments.without_tokenizer,
                              .decoder = !arguments.without_decoder};
  ModelFile file = read_whole(find_model(session, arguments.subject), request.format);
  lay_over(file, arguments.settings);
  if (arguments.weights == "teacher") file = with_teacher(std::move(file));
  const ModelExport planned = plan_export(file, request);
  session.started = true;
  write_export(planned, file, arguments.output, arguments.force);
  for (const std::string& remark : planned.remarks) warn(remark);
  if (session.json) {
    auto files = nlohmann::ordered_json::array();
    for (const auto& entry : fs::directory_iterator(arguments.output))
      files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    print_json({{"folder", arguments.output.string()},
                {"format", arguments.format},
                {"weights", arguments.weights},
                {"checkpoint", file.path.string()},
                {"files", files},
                {"tensors", planned.tensors.size()},
                {"remarks", planned.remarks}});
  } else {
    print(fmt::format("{}: {} of {}, {}\n", arguments.output.string(),
                      count(static_cast<int64_t>(planned.tensors.size()), "tensor"), file.path.string(),
                      format_bytes(static_cast<double>(fs::file_size(arguments.output / planned.weights)))));
  }
  return 0;
}

}  // namespace

void add_checkpoint_export(CLI::App& group, Session& session) {
  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = group.add_subcommand(
      "export",
      "a model for Python, in a folder\n\nCELL is an ID, an unambiguous start of one, or EXPERIMENT/ROW/SEED; in its "
      "place a run folder or a file of weights. What the format has no place for is refused, with every reason. The "
      "folder is there whole or not at all.");
  command->add_option("cell", arguments->subject, "the cell, or a file or folder of weights")
      ->option_text("CELL|CHECKPOINT")
      ->required();
  command
      ->add_option("--format", arguments->format,
                   "open_clip: for open_clip.create_model_and_transforms(\"local-dir:DIR\"); huggingface: for "
                   "transformers' AutoModel.from_pretrained(\"DIR\"); safetensors (default): silc's own tensors "
                   "with the model's settings, of every model")
      ->option_text("NAME");
  command->add_option("--output", arguments->output, "the folder to write")->option_text("DIR")->required();
  command
      ->add_option("--weights", arguments->weights, "of the image tower: student (default), or the objective's teacher")
      ->option_text("student|teacher");
  command
      ->add_option("--set", arguments->settings,
                   "a setting of the model that the file does not say, as model.image.mlp=\"gelu\"; repeatable")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--without-tokenizer", arguments->without_tokenizer,
                    "without the tokenizer, where the format has no place for it");
  command->add_flag("--without-decoder", arguments->without_decoder, "without the objective's caption decoder");
  command->add_flag("--force", arguments->force, "replace an earlier export");
  command->footer(
      "silc checkpoint export ablation/SILC/0 --format open_clip --output silc-open-clip\n"
      "silc checkpoint export 3fa9c1 --format huggingface --weights teacher --output silc-teacher");
  command->callback(
      [arguments, &session] { session.command = [=, &session] { return export_model(session, *arguments); }; });
}

}  // namespace silc
