#include "registry/planned_search.h"

#include <algorithm>

#include "registry/plan.h"

namespace silc {
namespace {

using Json = nlohmann::json;

Json to_json(const PlannedRowSearch& row) {
  Json space = Json::array();
  for (const PlannedDimension& dimension : row.space)
    space.push_back({{"key", dimension.key},
                     {"kind", dimension.kind},
                     {"low", dimension.low},
                     {"high", dimension.high},
                     {"choices", dimension.choices}});
  Json trials = Json::array();
  for (const PlannedTrial& trial : row.trials) {
    Json json = {{"number", trial.number},
                 {"values", trial.values},
                 {"id", trial.id},
                 {"folder", trial.folder.generic_string()}};
    for (const auto& folder : trial.earlier) json["earlier"].push_back(folder.generic_string());
    trials.push_back(std::move(json));
  }
  Json rungs = Json::array();
  for (const PlannedRung& rung : row.rungs) rungs.push_back({{"phase", rung.phase}, {"fraction", rung.fraction}});
  return {{"row", row.row},
          {"space", std::move(space)},
          {"trials", std::move(trials)},
          {"complete", row.complete},
          {"chosen", row.chosen ? Json(*row.chosen) : Json(nullptr)},
          {"phases", row.phases},
          {"rungs", std::move(rungs)},
          {"after", row.after}};
}

std::vector<std::filesystem::path> folders_from(const Json& json) {
  std::vector<std::filesystem::path> folders;
  for (const Json& folder : json) folders.emplace_back(folder.get<std::string>());
  return folders;
}

// `rungs`: of the search, where the row, of an older silc, has none of its own.
PlannedRowSearch row_from(const Json& json, const std::vector<double>& rungs) {
  PlannedRowSearch row;
  row.row = json.at("row");
  for (const Json& dimension : json.at("space"))
    row.space.push_back({.key = dimension.at("key"),
                         .kind = dimension.at("kind"),
                         .low = dimension.at("low"),
                         .high = dimension.at("high"),
                         .choices = dimension.at("choices")});
  for (const Json& trial : json.at("trials"))
    row.trials.push_back({.number = trial.at("number"),
                          .values = trial.at("values"),
                          .id = trial.at("id"),
                          .folder = trial.at("folder").get<std::string>(),
                          .earlier = folders_from(trial.value("earlier", Json::array()))});
  row.complete = json.at("complete");
  if (const Json& chosen = json.at("chosen"); !chosen.is_null()) row.chosen = chosen.get<int64_t>();
  row.phases = json.value("phases", std::vector<double>{1});
  row.rungs.clear();
  if (json.contains("rungs"))
    for (const Json& rung : json.at("rungs")) row.rungs.push_back({rung.at("phase"), rung.at("fraction")});
  else
    for (const double rung : rungs) row.rungs.push_back({0, rung});
  row.after = json.value("after", "");
  return row;
}

}  // namespace

nlohmann::json to_json(const PlannedSearch& search) {
  Json rows = Json::array();
  for (const PlannedRowSearch& row : search.rows) rows.push_back(to_json(row));
  Json tuned = Json::array();
  for (const PlannedTuning& row : search.tuned) {
    tuned.push_back({{"row", row.row}, {"by", row.by}});
    if (!row.after.empty()) tuned.back()["after"] = row.after;
  }
  return {{"method", search.method},  {"metric", search.metric},   {"evaluation", search.evaluation},
          {"name", search.name},      {"weights", search.weights}, {"split", search.split},
          {"seed", search.seed},      {"budget", search.budget},   {"trials", search.trials},
          {"flops", search.flops},    {"rungs", search.rungs},     {"rows", std::move(rows)},
          {"tuned", std::move(tuned)}};
}

PlannedSearch search_from(const nlohmann::json& json) {
  PlannedSearch search{.method = json.at("method"),
                       .metric = json.at("metric"),
                       .evaluation = json.at("evaluation"),
                       .name = json.at("name"),
                       .weights = json.at("weights"),
                       .split = json.at("split"),
                       .seed = json.at("seed"),
                       .budget = json.at("budget"),
                       .trials = json.at("trials"),
                       .flops = json.at("flops"),
                       .rungs = json.at("rungs"),
                       .rows = {},
                       .tuned = {}};
  for (const Json& row : json.at("rows")) search.rows.push_back(row_from(row, search.rungs));
  for (const Json& row : json.at("tuned"))
    search.tuned.push_back({row.at("row"), row.at("by"), row.value("after", "")});
  return search;
}

const PlannedRowSearch* search_of(const PlannedSearch& search, const std::string& row) {
  const auto tuning = std::ranges::find(search.tuned, row, &PlannedTuning::row);
  if (tuning == search.tuned.end()) return nullptr;
  const auto found = std::ranges::find(search.rows, tuning->by, &PlannedRowSearch::row);
  return found == search.rows.end() ? nullptr : &*found;
}

}  // namespace silc
