#include "engine/rank_membership.h"

#include <torch/version.h>

#include <cstdlib>
#include <set>
#include <vector>

#include "engine/log.h"
#include "files/content_hash.h"

namespace silc {
namespace {

using Properties = std::vector<std::pair<std::string, std::string>>;

void add_plugin(const PluginChoice& choice, const Catalogue& catalogue, std::set<std::string>& seen,
                Properties& properties) {
  const PluginInfo* plugin = catalogue.find(choice.kind, choice.name);
  if (plugin == nullptr) return;
  const std::string title = std::string(kind_name(choice.kind)) + " \"" + choice.name + "\"";
  if (!seen.insert(title).second) return;
  properties.emplace_back(title, "version " + std::to_string(plugin->version) + " of content " +
                                     content_hash(plugin->library).substr(0, 12));
}

// What results depend on and what a machine may have another version of.
Properties properties_of(const ResolvedCell& cell, const Catalogue& catalogue) {
  Properties properties = {{"silc", SILC_VERSION},
                           {"the engine's version", std::to_string(kEngineVersion)},
                           {"LibTorch", TORCH_VERSION},
                           {"the cell", cell_id(cell)}};
  std::set<std::string> seen;
  std::vector<PluginChoice> choices = {cell.objective, cell.image.backbone, cell.text.backbone, cell.text.tokenizer};
  if (cell.train.parts.empty()) choices.push_back(cell.train.dataset);
  for (const DataSource& part : cell.train.parts) choices.push_back(part.dataset);
  for (const PluginChoice& choice : choices) add_plugin(choice, catalogue, seen, properties);
  return properties;
}

}  // namespace

RankMembership::~RankMembership() { leave(); }

void RankMembership::join(const ResolvedCell& cell, const Catalogue& catalogue, const at::Device& device,
                          EventLog& events) {
  if (!environment_) return;
  log_as_rank(rank());
  ranks_ = ProcessRanks::meet(*environment_, device);
  set_process_ranks(ranks_);
  ranks_->watch([&events](const std::string& message) {
    events.append("failed", {{"message", message}, {"plugin", nullptr}});
    log_error(message);
    std::_Exit(1);
  });
  check_alike(*ranks_, properties_of(cell, catalogue),
              "all must run the same silc with the same plugins on the same cell");
}

void RankMembership::leave() {
  if (!ranks_) return;
  ranks_->stop_watching();
  set_process_ranks(nullptr);
  ranks_.reset();
}

void RankMembership::end_process(const std::string& word, int exit_code) {
  if (!environment_) return;
  if (ranks_ && !word.empty()) ranks_->leave_word(word);
  std::_Exit(exit_code);
}

}  // namespace silc
