// silc checkpoint export: a model as open_clip, transformers or any reader of safetensors takes it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/checkpoint_commands.h"
#include "cli/option_arguments.h"
#include "cli/session.h"
#include "cli/text.h"
#include "silc/error.h"
#include "spec/checkpoint.h"
#include "weights/export.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using namespace nlohmann::literals;  // _json_pointer

struct ExportArguments {
  std::string subject;
  std::string format = "safetensors";
  std::string weights = "student";
  fs::path output;
  std::vector<std::string> sets;
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
ModelFile read_whole(const Catalogue& catalogue, const fs::path& path, ExportFormat format,
                     const std::vector<std::string>& sets) {
  CheckpointFile checkpoint = with_settings(read_model_file(path));
  checkpoint.file.model = to_json(model_settings(checkpoint, sets)).at("model");
  if (format != ExportFormat::safetensors) return std::move(checkpoint.file);
  if (checkpoint.objective) checkpoint.file.model["objective"] = to_json(*checkpoint.objective);
  const std::string tokenizer = checkpoint.file.model.value("/text/tokenizer/tokenizer"_json_pointer, "");
  const PluginInfo* plugin = catalogue.find(PluginKind::tokenizer, tokenizer);
  if (checkpoint.captions && plugin != nullptr && plugin->learns_from_captions)
    checkpoint.file.model["captions"] = to_json(*checkpoint.captions);
  return std::move(checkpoint.file);
}

int export_model(Session& session, const ExportArguments& arguments) {
  if (arguments.weights != "student" && arguments.weights != "teacher")
    throw Error(fmt::format("--weights {}: choose student or teacher", arguments.weights));
  const ExportRequest request{.format = parse_export_format(arguments.format),
                              .tokenizer = !arguments.without_tokenizer,
                              .decoder = !arguments.without_decoder};
  ModelFile file =
      read_whole(session.catalogue(), find_model(session, arguments.subject), request.format, arguments.sets);
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
      ->type_name("cell")
      ->required();
  command
      ->add_option("--format", arguments->format,
                   "open_clip: for open_clip.create_model_and_transforms(\"local-dir:DIR\"); huggingface: for "
                   "transformers' AutoModel.from_pretrained(\"DIR\"); safetensors (default): silc's own tensors "
                   "with the model's settings, of every model")
      ->option_text("NAME")
      ->type_name("open_clip|huggingface|safetensors");
  command->add_option("--output", arguments->output, "the folder to write")->option_text("DIR")->required();
  command
      ->add_option("--weights", arguments->weights, "of the image tower: student (default), or the objective's teacher")
      ->option_text("student|teacher")
      ->type_name("student|teacher");
  add_set_flag(*command, arguments->sets,
               "says what the file does not: --set model.image.mlp='\"quick_gelu\"'; repeatable");
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
