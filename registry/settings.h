// The settings of cells as their run folders hold them: what rows differ in. No LibTorch.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace silc {

// Every setting of a run folder's cell.toml by its key ("optimizer.lr", "evaluate.seen.dataset.size"), as TOML, without
// what only names the cell. Settings of phases before, which lie in sibling folders, stand behind "phase 1: " and so
// on. Throws silc::Error for a file that is missing or damaged.
std::map<std::string, std::string> settings_of_cell(const std::filesystem::path& run_folder);

struct SettingDifference {
  std::string setting;
  std::vector<std::string> values;  // one for each of those compared; empty: it has no such setting
};

// Whether a table that compares rows has to say it: the batch, the data of training, and the data of an evaluation that
// all of them have.
bool is_condition(const SettingDifference& difference);

// The settings that are not the same in all, in order of their names.
std::vector<SettingDifference> differences(const std::vector<std::map<std::string, std::string>>& settings);

}  // namespace silc
