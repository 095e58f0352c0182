// What an experiment consists of: in the registry, and in experiment.json for rebuilding. Inside registry only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "registry/registry.h"

namespace silc {

struct DatedPlan {
  PlannedExperiment experiment;
  double planned = 0;  // seconds since 1970
};

nlohmann::json to_json(const PlannedSearch& search);
// Throws the faults of the JSON library.
PlannedSearch search_from(const nlohmann::json& json);

void write_plan(const std::filesystem::path& file, const DatedPlan& plan);
// Throws silc::Error naming the file and the fault.
DatedPlan read_plan(const std::filesystem::path& file);

// Within the caller's transaction.
void record_plan(SQLite::Database& database, const DatedPlan& plan);

std::optional<PlannedExperiment> load_plan(const SQLite::Database& database, const std::string& name);

// Seconds since 1970.
double now();

}  // namespace silc
