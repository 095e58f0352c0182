#include <fmt/format.h>

#include <algorithm>

#include "files/durable_file.h"
#include "spec/cell.h"
#include "spec/cell_settings.h"
#include "spec/overlay.h"
#include "spec/resolve.h"
#include "spec/table_reader.h"
#include "spec/toml_document.h"

namespace silc {
namespace {

// Settings of one row, which experiment files have at their top and cell.toml too.
Setting row_settings(const Setting& document) {
  Setting settings{document.place, Setting::Table{}};
  const auto keys = setting_keys();
  for (const Entry& entry : document.table())
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) settings.table().push_back(entry);
  expand_plugin_names(settings);
  return settings;
}

// Another version of a plugin gives other results than those that this cell stands for.
void check_versions(const Setting* versions, const Catalogue& catalogue, Faults& faults) {
  if (!versions) return;
  TableReader reader(versions, "versions", faults);
  for (int kind = 0; kind <= static_cast<int>(PluginKind::tokenizer); ++kind) {
    const auto plugin_kind = static_cast<PluginKind>(kind);
    const Setting* plugins = reader.take(kind_key(plugin_kind));
    if (!plugins || !plugins->is_table()) continue;
    for (const auto& [name, place, version] : plugins->table()) {
      const PluginInfo* plugin = catalogue.find(plugin_kind, name);
      const auto* recorded = std::get_if<int64_t>(&version.value);
      if (plugin && recorded && *recorded != plugin->version)
        faults.add(place, fmt::format("this cell was planned with version {} of {} \"{}\", which is at version {} now; "
                                      "start silc run again",
                                      *recorded, kind_name(plugin_kind), name, plugin->version));
    }
  }
  reader.finish();
}

// `cell` knows the files as they are now.
void check_files(const Setting* files, const ResolvedCell& cell, Faults& faults) {
  if (!files || !files->is_table()) return;
  const Setting settings = cell_settings(cell);
  const Entry* now = settings.find("files");
  for (const auto& [path, place, hash] : files->table()) {
    const Entry* entry = now ? now->value.find(path) : nullptr;
    if (entry && hash.is_text() && entry->value.text() != hash.text())
      faults.add(place, fmt::format("{} has changed since this cell was planned; start silc run again", path));
  }
}

Start read_start(const Setting* table, const ResolveContext& context) {
  Start start;
  if (!table) return start;
  TableReader reader(table, "start", context.faults);
  reader.read("cell", start.cell);
  reader.read("folder", start.folder);
  if (const Setting* captions = reader.take("captions"))
    start.captions = resolve_source(captions, "start.captions", context);
  for (const Setting& table : reader.take_tables("files")) {
    StartFile& file = start.files.emplace_back();
    TableReader entries(&table, "start.files", context.faults);
    entries.read("path", file.path);
    entries.read("hash", file.hash);
    entries.read("weights", file.weights);
    entries.read("share", file.share, {});
    entries.finish();
  }
  reader.finish();
  return start;
}

}  // namespace

std::string write_cell(const ResolvedCell& cell) {
  Setting head{{}, Setting::Table{}};
  head.set("experiment", {{}, cell.experiment});
  head.set("row", {{}, cell.row});
  head.set("seed", {{}, cell.seed});
  if (cell.trial) head.set("trial", {{}, *cell.trial});
  head.set("id", {{}, cell_id(cell)});
  Setting document{{}, Setting::Table{}};
  document.set("cell", std::move(head));
  Setting settings = cell_settings(cell);
  for (Entry& entry : settings.table()) document.table().push_back(std::move(entry));
  return write_toml(document);
}

ResolvedCell read_cell(const std::filesystem::path& file, const Catalogue& catalogue) {
  return parse_cell(read_file(file), file.string(), catalogue);
}

ResolvedCell parse_cell(const std::string& text, const std::string& name, const Catalogue& catalogue) {
  Faults faults;
  const std::optional<Setting> document = parse_toml(text, name, faults);
  faults.throw_if_any();

  TableReader top(&*document, "", faults);
  for (const std::string& key : setting_keys()) top.take(key);
  const ResolveContext context{catalogue, faults, Completeness::recorded};
  ResolvedCell cell = resolve_settings(row_settings(*document), "the cell", {name}, context);
  cell.evaluations = resolve_evaluations(top.take_tables("evaluate"), context);
  cell.start = read_start(top.take("start"), context);
  check_versions(top.take("versions"), catalogue, faults);

  std::string id;
  TableReader head(top.take("cell"), "cell", faults);
  head.read("experiment", cell.experiment);
  head.read("row", cell.row);
  head.read("seed", cell.seed, {0});
  if (int64_t trial = -1; head.take("trial")) {
    head.read("trial", trial, {0});
    cell.trial = trial;
  }
  head.read("id", id);
  head.finish();
  check_files(top.take("files"), cell, faults);
  top.finish();
  faults.throw_if_any();
  if (!id.empty() && id != cell_id(cell))
    head.fault("id", fmt::format("does not belong to these settings ({}): the file was edited, or written by another "
                                 "version of silc; start silc run again",
                                 cell_id(cell)));
  faults.throw_if_any();
  return cell;
}

}  // namespace silc
