#include "schedule/fingerprints.h"

#include <algorithm>
#include <map>
#include <set>

#include "plugin/option_values.h"
#include "silc/error.h"

namespace silc {

namespace {

nlohmann::json question_of(const DataSource& source) {
  return {
      {"dataset", source.dataset.name}, {"split", source.split}, {"options", options_to_json(source.dataset.options)}};
}

// `visit` gets a cell or phase, a source that it reads, and the key of its settings that names it.
template <class Visit>
void for_each_source(std::span<ResolvedCell> cells, const Visit& visit) {
  for (ResolvedCell& cell : cells) {
    for (DataSource* source : {&cell.train, &cell.start.captions}) {
      if (source->parts.empty() && is_there(*source)) visit(cell, *source, "data.train");
      for (DataSource& part : source->parts) visit(cell, part, "data.train");
    }
    for (std::size_t i = 0; i < cell.evaluations.size(); ++i)
      visit(cell, cell.evaluations[i].data, "evaluate." + std::to_string(i) + ".dataset");
    for_each_source(std::span(cell.earlier), visit);
  }
}

struct Fingerprint {
  nlohmann::json question;
  std::string value;
};

nlohmann::json ask_for(const Engine& engine, const std::map<std::string, Fingerprint>& fingerprints, double patience) {
  auto questions = nlohmann::json::array();
  for (const auto& [item, fingerprint] : fingerprints) questions.push_back(fingerprint.question);
  try {
    return ask_engine(engine, {"fingerprint"}, questions.dump(), patience);
  } catch (const Error& error) {
    std::set<std::string> datasets;
    for (const auto& question : questions) datasets.insert(question["dataset"].get<std::string>());
    std::string names;
    for (const std::string& dataset : datasets) names += (names.empty() ? "" : ", ") + dataset;
    throw Error(std::string(error.what()) + "\nThe data were to be read, of: " + names);
  }
}

}  // namespace

std::vector<UnreadableData> fill_fingerprints(const Engine& engine, std::span<ResolvedCell> cells) {
  std::map<std::string, Fingerprint> fingerprints;  // by item
  for_each_source(cells, [&](const ResolvedCell&, const DataSource& source, const std::string&) {
    fingerprints.try_emplace(source_item(source), Fingerprint{question_of(source), ""});
  });
  if (fingerprints.empty()) return {};
  const auto answers = ask_for(engine, fingerprints, patience_of(cells));
  if (!answers.is_array() || answers.size() != fingerprints.size())
    throw Error("silc-engine fingerprint (" + engine.program.string() +
                ") did not answer every question; is it of this version?");

  std::vector<UnreadableData> unreadable;
  std::size_t next = 0;
  for (auto& [item, fingerprint] : fingerprints) {
    const auto& answer = answers[next++];
    fingerprint.value = answer.value("fingerprint", "");
    if (fingerprint.value.empty())
      unreadable.push_back({item, answer.value("error", "no fingerprint for " + fingerprint.question.dump()), {}});
  }
  for_each_source(cells, [&](const ResolvedCell& cell, DataSource& source, const std::string& key) {
    const std::string item = source_item(source);
    source.fingerprint = fingerprints.at(item).value;
    for (UnreadableData& data : unreadable)
      if (data.item == item) data.uses.emplace_back(&cell, key);
  });
  return unreadable;
}

double patience_of(std::span<const ResolvedCell> cells) {
  double patience = 0;
  for (const ResolvedCell& cell : cells) {
    if (cell.engine.hang_seconds == 0) return 0;
    patience = std::max(patience, cell.engine.hang_seconds);
  }
  return patience;
}

}  // namespace silc
