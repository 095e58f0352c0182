// A runs folder as silc and its engines would leave it, written by hand.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "files/run_folder.h"
#include "files/safetensors.h"
#include "registry/registry.h"
#include "tests/files/temporary_folder.h"

namespace silc {

class FakeRuns {
 public:
  [[nodiscard]] std::filesystem::path runs() const { return folder_ / "runs"; }
  [[nodiscard]] std::filesystem::path registry_file() const { return folder_ / "registry.sqlite"; }
  [[nodiscard]] Registry open() const { return Registry(registry_file(), runs()); }
  [[nodiscard]] RunFolder folder(const PlannedCell& cell) const { return {runs() / cell.folder}; }

  static PlannedCell cell(const std::string& experiment, const std::string& row, int64_t seed, const std::string& id) {
    return {.row = row,
            .seed = seed,
            .id = id,
            .folder = std::filesystem::path(experiment) / row / ("seed-" + std::to_string(seed) + "-" + id)};
  }

  // An experiment of every row with every seed, with IDs counted on from `first_id`.
  static PlannedExperiment experiment(const std::string& name, const std::vector<std::string>& rows,
                                      const std::vector<int64_t>& seeds, int first_id = 1) {
    PlannedExperiment experiment{.name = name,
                                 .title = "Does it help?",
                                 .source = "[experiment]\nname = \"" + name + "\"\n",
                                 .rows = rows,
                                 .seeds = seeds,
                                 .tables = {{.name = "main",
                                             .title = "Main results",
                                             .baseline = rows.front(),
                                             .columns = {"zero_shot_classification/acc1", "cost/flops"},
                                             .rows = {}}},
                                 .cells = {}};
    for (const int64_t seed : seeds)
      for (const std::string& row : rows) {
        const std::string digits = std::to_string(first_id++);
        experiment.cells.push_back(cell(name, row, seed, std::string(12 - digits.size(), 'a') + digits));
      }
    return experiment;
  }

  // `start`: the folder of the phase before, below the experiment's.
  void write_cell(const std::string& experiment, const PlannedCell& cell, const std::string& weights = "student",
                  const std::string& start = "") {
    std::filesystem::create_directories(folder(cell).path);
    const std::string phase = start.empty() ? "" : "\n[start]\nfolder = \"" + start + "\"\n";
    write(folder(cell).cell(), "[cell]\nexperiment = \"" + experiment + "\"\nrow = '" + cell.row +
                                   "'\nseed = " + std::to_string(cell.seed) + "\nid = \"" + cell.id +
                                   "\"\n\n[evaluation]\nweights = [\"" + weights + "\", \"other\"]\n" + phase);
  }

  void event(const PlannedCell& cell, const std::string& kind, double time, nlohmann::json fields = {}) {
    fields["event"] = kind;
    fields["time"] = time;
    std::ofstream(folder(cell).events(), std::ios::app) << fields.dump() << "\n";
  }

  void step(const PlannedCell& cell, int64_t step, double time, double loss = 1) {
    event(cell, "step", time,
          {{"step", step},
           {"examples", 32 * step},
           {"fraction", 0.125},
           {"rate", 88.5},
           {"loss", loss},
           {"values", {{"teacher_entropy", 2.5}}}});
  }

  void warning(const PlannedCell& cell, int64_t step, const std::string& check, nlohmann::json value = 0.5) {
    event(cell, "warning", 101,
          {{"step", step},
           {"check", check},
           {"metric", "teacher_entropy"},
           {"value", std::move(value)},
           {"message", "teacher_entropy 0.5 (below 1 for 30 steps): raise it"}});
  }

  // acc1 of the student along training.
  void along(const PlannedCell& cell, int64_t step, double fraction, double acc1 = 0.5) {
    event(cell, "evaluated_along", 101,
          {{"step", step},
           {"fraction", fraction},
           {"examples", 32 * step},
           {"flops", 1e9 * static_cast<double>(step)},
           {"core_seconds", 0.1 * static_cast<double>(step)},
           {"seconds", 0.05 * static_cast<double>(step)},
           {"metrics", nlohmann::json::array({metric("student", "acc1", acc1)})}});
  }

  void attempt(const PlannedCell& cell, double start, double end, const std::string& how, int64_t number) {
    const nlohmann::json line = {{"start", start},     {"end", end},   {how, number},    {"core_seconds", 1.5},
                                 {"peak_memory", 1e9}, {"threads", 2}, {"host", "bench"}};
    std::ofstream(folder(cell).attempts(), std::ios::app) << line.dump() << "\n";
  }

  // An attempt that was a job of a cluster, with what only those have.
  void job(const PlannedCell& cell, const nlohmann::json& facts) {
    nlohmann::json line = {{"start", 100},       {"end", 110},   {"exit_code", 0}, {"core_seconds", 1.5},
                           {"peak_memory", 1e9}, {"threads", 2}, {"host", "n1"}};
    line.update(facts);
    std::ofstream(folder(cell).attempts(), std::ios::app) << line.dump() << "\n";
  }

  void metrics(const PlannedCell& cell, const nlohmann::json& metrics, const nlohmann::json& cost,
               const nlohmann::json& not_applicable = nlohmann::json::array()) {
    write(folder(cell).metrics(),
          nlohmann::json{{"metrics", metrics}, {"not_applicable", not_applicable}, {"cost", cost}}.dump());
  }

  // A cell from its start to its end, with acc1 of student and teacher.
  void finish(const std::string& experiment, const PlannedCell& cell, double acc1,
              const std::string& weights = "student", const std::string& start = "") {
    write_cell(experiment, cell, weights, start);
    event(cell, "started", 100, {{"step", 0}, {"total_steps", 20}, {"pid", 1}});
    step(cell, 10, 101);
    step(cell, 20, 102);
    metrics(cell, {metric("student", "acc1", acc1), metric("teacher", "acc1", acc1 + 0.01)},
            {{"examples", 640}, {"flops", 1.5e12}, {"core_seconds", 84.0}, {"device", "cpu"}});
    event(cell, "finished", 103);
    attempt(cell, 99, 104, "exit_code", 0);
  }

  // Scores of single pictures of one metric, which is their mean.
  void samples(const PlannedCell& cell, const std::string& name, const std::vector<float>& scores,
               const std::string& weights = "student", const std::string& evaluator = "zero_shot_classification") {
    std::filesystem::create_directories(folder(cell).samples());
    write_safetensors(
        folder(cell).samples() / (evaluator + "-" + weights + ".safetensors"),
        {{name,
          {.dtype = "F32", .shape = {static_cast<int64_t>(scores.size())}, .bytes = std::as_bytes(std::span(scores))}}},
        {{"evaluator", evaluator}, {"dataset", "scenes"}, {"split", "test"}, {"weights", weights}});
  }

  static nlohmann::json metric(const std::string& weights, const std::string& name, double value,
                               const std::string& evaluator = "zero_shot_classification") {
    return {{"evaluator", evaluator}, {"dataset", "scenes"}, {"weights", weights},
            {"name", name},           {"value", value},      {"n", 1000}};
  }

  static nlohmann::json not_applicable(const std::string& weights, const std::string& evaluator) {
    return {{"evaluator", evaluator},
            {"dataset", "scenes"},
            {"weights", weights},
            {"reason", "the model has no caption decoder"}};
  }

  static void write(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace silc
