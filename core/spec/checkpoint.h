// `checkpoint = …` of a row: the files of weights that it starts from, and the settings that come with them. No
// LibTorch.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "spec/cell.h"
#include "spec/setting.h"
#include "weights/model_file.h"

namespace silc {

// What a file says that belongs into a row's settings.
struct CheckpointFile {
  ModelFile file;                                   // without `weights`: no file stays open
  std::string hash;                                 // of its content
  Setting model;                                    // a [model] table: of the towers that the file has
  std::optional<Setting> objective = std::nullopt;  // of a checkpoint of silc: what it was trained with
  std::optional<Setting> captions = std::nullopt;   // likewise: what its tokenizer has its vocabulary from
};

// `file` with the settings that it has itself or, of a checkpoint of silc, those of its run folder. `hash` stays empty.
// Throws silc::Error.
CheckpointFile with_settings(ModelFile file);

// Reads each file once.
class Checkpoints {
 public:
  // Throws silc::Error.
  const CheckpointFile& read(const std::filesystem::path& path);

 private:
  std::map<std::filesystem::path, CheckpointFile> known_;
};

// A row's files, whose models are alike. The first one's settings are those of all.
struct ChosenCheckpoint {
  std::vector<StartFile> files;
  const CheckpointFile* first = nullptr;
};

// `setting`: "PATH", ["PATH", …] (their mean) or { file = "PATH", weights = "teacher" },
// { files = ["PATH", …], mix = [0.7, 0.3] }. Nothing, and faults, where it is none of these or a file cannot be used.
std::optional<ChosenCheckpoint> read_checkpoint(const Setting& setting, Checkpoints& checkpoints, Faults& faults);

// Puts the towers of the file in the place of those of `settings`.
void lay_under(Setting& settings, const CheckpointFile& checkpoint);

// Whether `settings` say what the question asks for.
bool answers(const Setting& settings, const Question& question);

// Questions that the model file leaves open and `settings` do not answer are faults at `place`.
void check_answers(const Setting& settings, const CheckpointFile& checkpoint, const std::string& subject,
                   const Place& place, Faults& faults);

}  // namespace silc
