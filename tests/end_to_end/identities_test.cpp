// What a cell is known by: results that users have must be found again.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "spec/experiment.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

const fs::path kHere = fs::path(SILC_SOURCE_DIR) / "tests/end_to_end";

// Lines of an id and the row that it belongs to.
std::map<std::string, std::string> recorded_ids() {
  std::map<std::string, std::string> ids;
  std::ifstream lines(kHere / "identities.txt");
  for (std::string id, row; lines >> id && std::getline(lines >> std::ws, row);) ids[row] = id;
  return ids;
}

Experiment identities(const std::vector<std::string>& sets = {}) {
  static const std::vector<fs::path> folders = {fs::path(SILC_BINARY_DIR) / "plugins"};
  return read_experiment({.file = kHere / "identities.toml", .sets = sets}, Catalogue::scan(folders));
}

std::map<std::string, std::string> present_ids() {
  std::map<std::string, std::string> ids;
  for (const ResolvedCell& cell : identities().cells) ids[cell.row] = cell_id(cell);
  return ids;
}

// Recorded once. A plugin or the engine whose results change raises its version, and with it ids change: then record
// those of its rows anew. No other change may show here.
TEST(Identities, OfEverySettingOfEveryObjectiveStayAsTheyWere) { EXPECT_EQ(present_ids(), recorded_ids()); }

TEST(Identities, AnOptionThatCameLaterCountsWhereItIsNotAtItsDefault) {
  const auto first_id = [](const std::vector<std::string>& sets) { return cell_id(identities(sets).cells.front()); };
  EXPECT_EQ(first_id({"model.image.patch_bias=false"}), first_id({}));
  EXPECT_NE(first_id({"model.image.patch_bias=true"}), first_id({}));
}

}  // namespace
}  // namespace silc
