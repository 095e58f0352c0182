#include "spec/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "files/content_hash.h"
#include "files/durable_file.h"
#include "spec/overlay.h"
#include "spec/table_reader.h"
#include "spec/toml_document.h"

namespace silc {
namespace {

const Setting* at(const Setting& settings, std::initializer_list<std::string_view> keys) {
  const Setting* setting = &settings;
  for (const std::string_view key : keys) {
    const Entry* entry = setting->find(key);
    if (entry == nullptr) return nullptr;
    setting = &entry->value;
  }
  return setting;
}

// What was recorded when it was planned.
void drop_records(Setting& source) {
  if (source.is_array()) {
    for (Setting& part : source.array()) drop_records(part);
    return;
  }
  std::erase_if(source.table(), [](const Entry& entry) { return entry.key == "fingerprint"; });
}

// Settings of the run folder that a checkpoint of silc lies in.
void read_run_folder(const std::filesystem::path& checkpoint, CheckpointFile& result) {
  const std::filesystem::path cell = checkpoint.parent_path().parent_path() / "cell.toml";
  if (!std::filesystem::exists(cell))
    throw Error(checkpoint.string() +
                " is a checkpoint of silc without its run folder, whose cell.toml says what model "
                "it is of; name the one in the run folder, or silc checkpoint export it");
  Faults faults;
  const std::optional<Setting> document = parse_toml(read_file(cell), cell.string(), faults);
  faults.throw_if_any();
  const Setting* model = at(*document, {"model"});
  if (model == nullptr || !model->is_table() || at(*model, {"image"}) == nullptr)
    throw Error(cell.string() + " has no [model], so that the checkpoint below it cannot be read");
  result.model = *model;
  if (const Setting* objective = at(*document, {"objective"})) result.objective = *objective;
  const Setting* captions = at(*document, {"start", "captions"});
  if (captions == nullptr) captions = at(*document, {"data", "train"});
  if (captions != nullptr && (captions->is_table() || captions->is_array())) {
    result.captions = *captions;
    drop_records(*result.captions);
  }
}

// The texts of a list; nothing, and a fault, where it is none.
std::optional<std::vector<const Setting*>> texts_of(const Setting& setting, Faults& faults) {
  std::vector<const Setting*> texts;
  if (setting.is_array())
    for (const Setting& element : setting.array())
      if (element.is_text() && !element.text().empty()) texts.push_back(&element);
  if (!setting.is_array() || setting.array().empty() || texts.size() != setting.array().size()) {
    faults.add(
        setting.place,
        fmt::format("must be a list of files, as in [\"a.safetensors\", \"b.safetensors\"], not {}", shown(setting)));
    return std::nullopt;
  }
  return texts;
}

// The shares of a mix of `count` files; equal ones where there is no setting.
std::vector<double> shares_of(const Setting* mix, std::size_t count, Faults& faults) {
  std::vector<double> shares(count, 1.0 / static_cast<double>(count));
  if (mix == nullptr) return shares;
  double sum = 0;
  std::vector<double> given;
  if (mix->is_array())
    for (const Setting& element : mix->array()) {
      if (const auto* number = std::get_if<double>(&element.value)) given.push_back(*number);
      if (const auto* number = std::get_if<int64_t>(&element.value)) given.push_back(static_cast<double>(*number));
    }
  for (const double share : given) sum += share;
  if (!mix->is_array() || given.size() != count || mix->array().size() != count || !(std::abs(sum - 1) < 1e-6)) {
    faults.add(mix->place, fmt::format("checkpoint.mix must be {} numbers that add up to 1, one for each file, not {}",
                                       count, shown(*mix)));
    return shares;
  }
  return given;
}

struct Named {
  std::vector<const Setting*> files;
  std::vector<double> shares;
  std::string weights = "student";
};

std::optional<Named> read_names(const Setting& setting, Faults& faults) {
  Named named;
  if (setting.is_text() && !setting.text().empty()) {
    named.files = {&setting};
    named.shares = {1};
    return named;
  }
  if (setting.is_array()) {
    const auto files = texts_of(setting, faults);
    if (!files) return std::nullopt;
    named.files = *files;
    named.shares = shares_of(nullptr, files->size(), faults);
    return named;
  }
  if (!setting.is_table()) {
    faults.add(setting.place,
               fmt::format("checkpoint must be a file or folder, a list of them or a table, not {}", shown(setting)));
    return std::nullopt;
  }
  static const std::array<std::string, 2> kWeights = {"student", "teacher"};
  TableReader reader(&setting, "checkpoint", faults);
  const Setting* file = reader.take("file");
  const Setting* files = reader.take("files");
  const Setting* mix = reader.take("mix");
  reader.read("weights", named.weights, kWeights);
  reader.finish();
  if ((file == nullptr) == (files == nullptr) || (file != nullptr && (!file->is_text() || mix != nullptr))) {
    faults.add(setting.place,
               "checkpoint must name a file, as in { file = \"a.safetensors\", weights = \"teacher\" }, "
               "or several, as in { files = [\"a.safetensors\", \"b.safetensors\"], mix = [0.5, 0.5] }");
    return std::nullopt;
  }
  if (file != nullptr) {
    named.files = {file};
    named.shares = {1};
    return named;
  }
  const auto several = texts_of(*files, faults);
  if (!several) return std::nullopt;
  named.files = *several;
  named.shares = shares_of(mix, several->size(), faults);
  return named;
}

// A command may read its experiment several times; files of gigabytes are read once for as long as they stay as they
// are.
std::string known_hash(const std::vector<std::filesystem::path>& files) {
  using State = std::tuple<std::filesystem::path, uintmax_t, std::filesystem::file_time_type>;
  static std::map<std::vector<State>, std::string> known;
  std::vector<State> states;
  std::error_code gone;  // content_hash says it better
  for (const std::filesystem::path& file : files)
    states.emplace_back(std::filesystem::absolute(file), std::filesystem::file_size(file, gone),
                        std::filesystem::last_write_time(file, gone));
  if (const auto found = known.find(states); found != known.end()) return found->second;
  return known.emplace(std::move(states), content_hash(files)).first->second;
}

}  // namespace

CheckpointFile with_settings(ModelFile file) {
  CheckpointFile result;
  result.file = std::move(file);
  if (result.file.model.empty())
    read_run_folder(result.file.path, result);
  else
    result.model = from_json(result.file.model, {result.file.path.string()});
  // An export has them with its model's settings.
  for (const auto& [key, where] : {std::pair{"objective", &result.objective}, std::pair{"captions", &result.captions}})
    if (const Entry* entry = result.model.find(key)) {
      *where = entry->value;
      std::erase_if(result.model.table(), [&, &key = key](const Entry& other) { return other.key == key; });
    }
  return result;
}

const CheckpointFile& Checkpoints::read(const std::filesystem::path& path) {
  const std::filesystem::path file = std::filesystem::weakly_canonical(path);
  if (const auto found = known_.find(file); found != known_.end()) return found->second;
  CheckpointFile result = with_settings(read_model_file(path));
  result.hash = known_hash(result.file.files);
  result.file.weights = nullptr;
  return known_.emplace(file, std::move(result)).first->second;
}

std::optional<ChosenCheckpoint> read_checkpoint(const Setting& setting, Checkpoints& checkpoints, Faults& faults) {
  const std::optional<Named> named = read_names(setting, faults);
  if (!named) return std::nullopt;
  ChosenCheckpoint chosen;
  for (std::size_t i = 0; i < named->files.size(); ++i) {
    const Setting& name = *named->files[i];
    const std::string path = absolute_path(name.text(), name.place);
    try {
      const CheckpointFile& checkpoint = checkpoints.read(path);
      if (named->weights == "teacher") static_cast<void>(with_teacher(checkpoint.file));
      if (chosen.first == nullptr) chosen.first = &checkpoint;
      if (to_json(checkpoint.model) != to_json(chosen.first->model)) {
        faults.add(name.place, fmt::format("{} is of another model than {}; only weights of the same can be mixed",
                                           path, chosen.files.front().path));
        return std::nullopt;
      }
      chosen.files.push_back(
          {.path = path, .hash = checkpoint.hash, .weights = named->weights, .share = named->shares[i]});
    } catch (const SpecError& error) {
      faults.add(name.place, error.what());
      return std::nullopt;
    } catch (const Error& error) {
      faults.add(name.place, fmt::format("checkpoint cannot be used: {}", error.what()));
      return std::nullopt;
    }
  }
  return chosen;
}

void lay_under(Setting& settings, const CheckpointFile& checkpoint) {
  Entry* model = settings.find("model");
  if (model == nullptr || !model->value.is_table()) {
    settings.set("model", checkpoint.model);
    return;
  }
  for (const Entry& entry : checkpoint.model.table()) model->value.set(entry.key, entry.value, entry.place);
}

bool answers(const Setting& settings, const Question& question) {
  const Setting* setting = at(settings, {"model"});
  std::string_view rest = question.key;
  while (setting != nullptr && !rest.empty()) {
    const std::string_view key = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    setting = at(*setting, {key});
  }
  return setting != nullptr;
}

void check_answers(const Setting& settings, const CheckpointFile& checkpoint, const std::string& subject,
                   const Place& place, Faults& faults) {
  for (const Question& question : checkpoint.file.questions)
    if (!answers(settings, question))
      faults.add(place, fmt::format("{}: {} does not say model.{}: {}", subject, checkpoint.file.path.string(),
                                    question.key, question.what));
}

}  // namespace silc
