#include "spec/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include "files/durable_file.h"
#include "plugin/similar.h"
#include "spec/overlay.h"
#include "spec/resolve.h"
#include "spec/rows.h"
#include "spec/table_reader.h"
#include "spec/tables.h"
#include "spec/toml_document.h"
#include "spec/tuning.h"

namespace silc {
namespace {

Setting empty_table(const Place& place) { return {place, Setting::Table{}}; }

bool is_setting_key(std::string_view key) {
  const auto keys = setting_keys();
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// The part of a document that rows may change, or the part that they may not.
Setting part_of(const Setting& document, bool settings) {
  Setting part = empty_table(document.place);
  for (const Entry& entry : document.table())
    if (is_setting_key(entry.key) == settings) part.table().push_back(entry);
  if (settings) expand_plugin_names(part);
  return part;
}

// What the command line sets.
struct Sets {
  Setting settings = empty_table({"--set"});   // of rows
  Setting elsewhere = empty_table({"--set"});  // of the file
};

Sets read_sets(const std::vector<std::string>& assignments, Faults& faults) {
  Sets sets;
  for (const std::string& assignment : assignments) {
    const std::optional<Setting> setting = parse_assignment(assignment, faults);
    if (!setting) continue;
    lay_over(sets.settings, part_of(*setting, true));
    lay_over(sets.elsewhere, part_of(*setting, false));
  }
  return sets;
}

void check_seed(const Place& place, int64_t seed, std::set<int64_t>& seen, Faults& faults) {
  if (seed < 0) faults.add(place, fmt::format("seeds must not be negative: {}", seed));
  if (!seen.insert(seed).second) faults.add(place, fmt::format("the seed {} is there twice", seed));
}

std::vector<int64_t> read_seeds(const Setting* setting, const std::vector<int64_t>& requested, Faults& faults) {
  std::vector<int64_t> seeds;
  std::set<int64_t> seen;
  if (!setting) {
    seeds = {0};
  } else if (!setting->is_array() || setting->array().empty()) {
    faults.add(setting->place, fmt::format("experiment.seeds must be a list of whole numbers, as in [0, 1, 2], not {}",
                                           shown(*setting)));
  } else {
    for (const Setting& element : setting->array()) {
      if (const auto* seed = std::get_if<int64_t>(&element.value)) {
        check_seed(element.place, *seed, seen, faults);
        seeds.push_back(*seed);
      } else {
        faults.add(element.place, fmt::format("seeds must be whole numbers: {}", shown(element)));
      }
    }
  }
  if (requested.empty()) return seeds;
  seen.clear();
  for (const int64_t seed : requested) check_seed({"--seeds"}, seed, seen, faults);
  return requested;
}

void read_head(const Setting& document, const ExperimentRequest& request, Experiment& experiment, Faults& faults) {
  const Entry* table = document.find("experiment");
  TableReader reader(table ? &table->value : nullptr, "experiment", faults);
  reader.read("name", experiment.name);
  reader.read("title", experiment.title);
  reader.take("plugins");  // plugins_of() reads it, before there is a catalogue
  experiment.seeds = read_seeds(reader.take("seeds"), request.seeds, faults);
  reader.finish();
  const Place place = table ? table->value.place : document.place;
  const Place whole_file{request.file.string()};
  if (experiment.name.empty() && !(table && table->value.find("name")))
    faults.add(table ? place : whole_file,
               "the experiment has no name; give it one, as in [experiment] name = \"ablation\"");
  else if (path_name(experiment.name).empty())
    reader.fault("name", "must hold letters (a to z) or digits, because it names a folder");
}

// A row with the values of a matrix's point, resolved.
struct ResolvedRow {
  std::string name;
  ResolvedCell cell;  // of its last phase
  const RowSpec* spec = nullptr;
  const MatrixPoint* point = nullptr;
};

using WrittenRows = decltype(Experiment::written);

// Two rows must not share a run folder. `name`: of the row, or of one of its phases.
void check_path(const RowSpec& row, const std::string& name, std::map<std::string, std::string>& paths,
                Faults& faults) {
  const std::string path = path_name(name);
  if (path.empty()) {
    faults.add(row.place,
               fmt::format("row \"{}\" must hold letters (a to z) or digits, because it names a folder", name));
    return;
  }
  const auto [other, fresh] = paths.emplace(path, name);
  if (!fresh && other->second != name)
    faults.add(row.place, fmt::format("rows \"{}\" and \"{}\" would share the folder \"{}\"; rename one of them",
                                      other->second, name, path));
}

using Files = std::vector<std::filesystem::path>;

Experiment read_experiment(const ExperimentRequest& request, const Catalogue& catalogue, const Files& files);

// Lays settings over each other, and phases behind each other, for the rows of one file.
class RowResolver {
 public:
  // `files`: of the experiments that are being read, each because of a phase in the one before; this one is the last.
  // `written` gets the settings of the rows of `experiment`, and of those elsewhere.
  RowResolver(const Setting& document, const Sets& sets, const std::vector<RowSpec>& rows,
              const ResolveContext& context, const Files& files, const std::string& experiment, WrittenRows& written)
      : file_settings_(part_of(document, true)),
        sets_(sets),
        rows_(rows),
        context_(context),
        files_(files),
        experiment_(experiment),
        written_(written) {
    ResolveContext partial = context;
    partial.completeness = Completeness::partial;
    resolve_settings(file_settings_, "", document.place, partial);
  }

  // The row with the values of a matrix's point, and with these laid over it and the rows that it starts from.
  std::optional<ResolvedCell> resolve(const RowSpec& row, const MatrixPoint& point, const Overlays& overlays) {
    overlays_ = &overlays;
    std::vector<const RowSpec*> above;
    const std::size_t before = context_.faults.count();
    std::optional<ResolvedCell> cell = resolve(row, point, above);
    overlays_ = nullptr;
    if (context_.faults.count() != before) return std::nullopt;
    return cell;
  }

  // Full names of the rows that a row's first phase names, and theirs.
  [[nodiscard]] std::vector<std::string> starts_of(const RowSpec& row, const MatrixPoint& point) const {
    std::vector<std::string> names;
    Faults known;
    const RowSpec* next = &row;
    while (next != nullptr && names.size() <= rows_.size()) {
      const auto chain = base_chain(*next, rows_, known);
      const std::vector<PhaseSpec> phases = chain ? phases_of(*chain) : std::vector<PhaseSpec>{};
      if (phases.empty() || !phases.front().row || phases.front().experiment) break;
      next = find_row(rows_, *phases.front().row);
      if (next != nullptr) names.push_back(next->name + point.suffix);
    }
    return names;
  }

  std::vector<ResolvedRow> resolve(const std::vector<MatrixPoint>& points) {
    std::vector<ResolvedRow> resolved;
    for (const RowSpec& row : rows_) {
      for (const MatrixPoint& point : points) {
        const std::string name = row.name + point.suffix;
        check_path(row, name, paths_, context_.faults);
        std::vector<const RowSpec*> above;
        std::optional<ResolvedCell> cell = resolve(row, point, above);
        if (!cell) continue;
        for (const ResolvedCell& phase : cell->earlier)
          if (!phase.elsewhere) check_path(row, phase.row, paths_, context_.faults);
        resolved.push_back({name, *std::move(cell), &row, &point});
      }
    }
    return resolved;
  }

 private:
  // `above`: the rows whose first phase this one is. Nothing where there is a fault that leaves nothing to resolve.
  std::optional<ResolvedCell> resolve(const RowSpec& row, const MatrixPoint& matrix_point,
                                      std::vector<const RowSpec*>& above) {
    const auto chain = base_chain(row, rows_, context_.faults);
    if (!chain) return std::nullopt;
    const std::string name = row.name + matrix_point.suffix;
    MatrixPoint point = matrix_point;
    if (const Setting* overlay = overlay_of(name)) lay_over(point.settings, *overlay);
    std::vector<PhaseSpec> phases = phases_of(*chain);
    const std::optional<Setting> checkpoint = checkpoint_of(*chain, phases, point);
    Setting settings = settings_of(*chain, checkpoint);
    if (phases.empty())
      return one_phase(settings, checkpoint, point, name, fmt::format("row \"{}\"", row.name), row.place);
    if (checkpoint && phases.front().row)
      context_.faults.add(phases.front().place,
                          fmt::format("row \"{}\" has a checkpoint to start from, and cannot start from row \"{}\" too",
                                      row.name, *phases.front().row));
    // A first phase that names a checkpoint and nothing else is where the next one starts.
    if (phases.size() > 1 && names_checkpoint_alone(phases.front())) phases.erase(phases.begin());

    std::vector<ResolvedCell> cells;
    std::optional<Setting> start = checkpoint;
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const PhaseSpec& phase = phases[i];
      if (phase.row) {
        if (i > 0) continue;  // a fault already
        above.push_back(&row);
        const auto first = phase.experiment ? row_elsewhere(phase) : named_row(phase, matrix_point, above);
        above.pop_back();
        if (!first) return std::nullopt;
        cells = unchained(*first);
        // Weights that are evaluated as they are have no checkpoint of their own: what starts from the row starts from
        // its files.
        if (is_evaluated_only(cells.back())) {
          start = written_checkpoint(cells.back());
          settings = settings_of(*chain, start);
          cells.clear();
        }
        continue;
      }
      Setting own = settings;
      lay_over(own, phase.settings);
      if (!cells.empty()) check_later(phase);
      const bool last = i + 1 == phases.size();
      const std::string phase_name = last ? name : fmt::format("{} ({})", name, phase.name);
      if (!last) check_phase_name(phase, phase_name, point);
      cells.push_back(
          one_phase(own, start, point, phase_name, fmt::format("{} of row \"{}\"", phase.name, row.name), phase.place));
      start.reset();
      if (!same_model(cells.front(), cells.back()))
        context_.faults.add(phases.front().place, fmt::format("row \"{}\" starts from row \"{}\", which has another "
                                                              "model; all phases of a row have the same",
                                                              row.name, *phases.front().row));
    }
    if (cells.empty()) return std::nullopt;  // a fault already
    ResolvedCell cell = std::move(cells.back());
    cells.pop_back();
    cell.earlier = std::move(cells);
    return cell;
  }

  [[nodiscard]] const Setting* overlay_of(const std::string& row) const {
    if (overlays_ == nullptr) return nullptr;
    const auto overlay = overlays_->find(row);
    return overlay == overlays_->end() ? nullptr : &overlay->second;
  }

  // The checkpoint that the first phase of a row starts from, as it is written.
  std::optional<Setting> checkpoint_of(const std::vector<const RowSpec*>& chain, const std::vector<PhaseSpec>& phases,
                                       const MatrixPoint& point) const {
    std::vector<const Setting*> layers = {&file_settings_};
    for (const RowSpec* link : chain) layers.push_back(&link->settings);
    if (!phases.empty()) layers.push_back(&phases.front().settings);
    layers.push_back(&point.settings);
    layers.push_back(&sets_.settings);
    std::optional<Setting> checkpoint;
    for (const Setting* layer : layers)
      if (const Entry* entry = layer->find("checkpoint")) checkpoint = entry->value;
    return checkpoint;
  }

  // The file's settings with those of a row's chain over them. The towers of a checkpoint stand in the place of the
  // file's: what rows say of the model is said of them.
  Setting settings_of(const std::vector<const RowSpec*>& chain, const std::optional<Setting>& checkpoint) {
    Setting settings = file_settings_;
    if (checkpoint) {
      Faults ignored;  // they are found again, with the row's other faults
      if (const auto chosen = read_checkpoint(*checkpoint, *context_.checkpoints, ignored))
        lay_under(settings, *chosen->first);
    }
    for (const RowSpec* link : chain) lay_over(settings, link->settings);
    return settings;
  }

  static bool names_checkpoint_alone(const PhaseSpec& phase) {
    return !phase.row && phase.settings.table().size() == 1 && phase.settings.find("checkpoint") != nullptr;
  }

  static Setting written_checkpoint(const ResolvedCell& cell) {
    Setting::Array files, shares;
    for (const StartFile& file : cell.start.files) {
      files.push_back({{}, file.path});
      shares.push_back({{}, file.share});
    }
    Setting checkpoint{{}, Setting::Table{}};
    checkpoint.set("files", {{}, std::move(files)});
    checkpoint.set("mix", {{}, std::move(shares)});
    checkpoint.set("weights", {{}, cell.start.files.front().weights});
    return checkpoint;
  }

  // A later phase goes on from the one before; a row's checkpoint is where its first begins.
  void check_later(const PhaseSpec& phase) {
    if (phase.settings.find("checkpoint") != nullptr)
      context_.faults.add(
          phase.settings.find("checkpoint")->place,
          fmt::format("{} goes on from the phase before it; only the first can name a checkpoint", phase.name));
  }

  void check_phase_name(const PhaseSpec& phase, const std::string& name, const MatrixPoint& point) {
    for (const RowSpec& row : rows_)
      if (row.name + point.suffix == name)
        context_.faults.add(phase.place, fmt::format("there is a row \"{}\", as this phase would be called; give the "
                                                     "phase a name of its own",
                                                     name));
  }

  // `checkpoint`: where it begins, if it is a first phase that begins with one.
  ResolvedCell one_phase(Setting settings, const std::optional<Setting>& checkpoint, const MatrixPoint& point,
                         const std::string& name, const std::string& subject, const Place& place) {
    lay_over(settings, point.settings);
    lay_over(settings, sets_.settings);
    std::erase_if(settings.table(), [](const Entry& entry) { return entry.key == "checkpoint"; });
    if (checkpoint) settings.set("checkpoint", *checkpoint);
    ResolvedCell cell = resolve_settings(settings, subject, place, context_);
    cell.row = name;
    written_[{experiment_, name}] = {place, std::move(settings)};
    return cell;
  }

  std::optional<ResolvedCell> named_row(const PhaseSpec& phase, const MatrixPoint& point,
                                        std::vector<const RowSpec*>& above) {
    const RowSpec* row = find_row(rows_, *phase.row);
    if (row == nullptr) {
      context_.faults.add(phase.place, fmt::format("there is no row \"{}\" to train before{}", *phase.row,
                                                   suggestion(*phase.row, names_of(rows_))));
      return std::nullopt;
    }
    if (std::find(above.begin(), above.end(), row) != above.end()) {
      context_.faults.add(phase.place,
                          fmt::format("rows go round in a circle: \"{}\" is trained before itself", row->name));
      return std::nullopt;
    }
    return resolve(*row, point, above);
  }

  // As that experiment has it: neither the matrix nor --set changes it.
  std::optional<ResolvedCell> row_elsewhere(const PhaseSpec& phase) {
    const Experiment* experiment = experiment_elsewhere(files_.back().parent_path() / *phase.experiment, phase.place);
    if (experiment == nullptr) return std::nullopt;
    const auto found = std::find_if(experiment->cells.begin(), experiment->cells.end(),
                                    [&](const ResolvedCell& cell) { return cell.row == *phase.row; });
    if (is_tuned(*experiment, *phase.row)) {
      context_.faults.add(phase.place, fmt::format("the settings of row \"{}\" are chosen by the [search] of {}, which "
                                                   "only that experiment knows; a row here can have the values that it "
                                                   "chose",
                                                   *phase.row, *phase.experiment));
      return std::nullopt;
    }
    if (found == experiment->cells.end()) {
      context_.faults.add(phase.place, fmt::format("there is no row \"{}\" in {}{}", *phase.row, *phase.experiment,
                                                   suggestion(*phase.row, experiment->rows)));
      return std::nullopt;
    }
    written_.insert(experiment->written.begin(), experiment->written.end());
    ResolvedCell cell = *found;
    cell.elsewhere = true;
    for (ResolvedCell& earlier : cell.earlier) earlier.elsewhere = true;
    return cell;
  }

  // Null where it cannot be read; then the faults are in `faults`.
  const Experiment* experiment_elsewhere(const std::filesystem::path& file, const Place& place) {
    const auto [entry, fresh] = elsewhere_.try_emplace(std::filesystem::weakly_canonical(file));
    if (!fresh) return entry->second ? &*entry->second : nullptr;
    if (std::find(files_.begin(), files_.end(), entry->first) != files_.end()) {
      context_.faults.add(place, entry->first == files_.back()
                                     ? "this is the file itself; leave experiment out to name one of its rows"
                                     : fmt::format("experiments go round in a circle: {} needs this one's rows",
                                                   file.lexically_normal().string()));
      return nullptr;
    }
    try {
      Files files = files_;
      files.push_back(entry->first);
      entry->second = read_experiment({.file = file.lexically_normal()}, context_.catalogue, files);
      return &*entry->second;
    } catch (const SpecError& error) {
      for (const Diagnostic& fault : error.diagnostics())
        context_.faults.add({fault.file, fault.line, fault.column}, fault.message);
    } catch (const Error& error) {
      context_.faults.add(place, error.what());
    }
    return nullptr;
  }

  static bool is_tuned(const Experiment& experiment, const std::string& row) {
    return experiment.search && std::any_of(experiment.search->tuned.begin(), experiment.search->tuned.end(),
                                            [&](const TunedRow& tuned) { return tuned.row == row; });
  }

  static bool same_model(const ResolvedCell& one, const ResolvedCell& other) {
    return one.image == other.image && one.text == other.text && one.embed_dim == other.embed_dim;
  }

  const Setting file_settings_;
  const Sets& sets_;
  const std::vector<RowSpec>& rows_;
  const ResolveContext& context_;
  const Files& files_;
  const std::string& experiment_;
  WrittenRows& written_;
  const Overlays* overlays_ = nullptr;                                    // of the row that is being resolved
  std::map<std::string, std::string> paths_;                              // folder → name
  std::map<std::filesystem::path, std::optional<Experiment>> elsewhere_;  // read for their rows; by path
};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Leaves what rows need that were asked for.
void keep_chosen(Search& search, const std::vector<std::string>& rows) {
  std::vector<std::string> needed;
  const std::function<void(const std::string&)> need = [&](const std::string& row) {
    const TunedRow* tuned = row.empty() || contains(needed, row) ? nullptr : find_tuned(search, row);
    if (tuned == nullptr) return;
    needed.push_back(row);
    need(tuned->by);
    need(tuned->after);
  };
  for (const std::string& row : rows) need(row);
  std::erase_if(search.searched, [&](const SearchedRow& searched) { return !contains(needed, searched.row); });
  std::erase_if(search.tuned, [&](const TunedRow& tuned) { return !contains(needed, tuned.row); });
}

// The rows that --rows asks for, in the file's order.
std::vector<ResolvedRow> chosen(std::vector<ResolvedRow> rows, const std::vector<std::string>& requested,
                                const TableNames& names, Faults& faults) {
  if (requested.empty()) return rows;
  std::set<std::string> wanted;
  for (const std::string& name : requested) {
    const std::vector<std::string> full = expanded_rows(name, names);
    if (full.empty())
      faults.add({"--rows"}, fmt::format("there is no row \"{}\"{}", name, suggestion(name, names.rows)));
    wanted.insert(full.begin(), full.end());
  }
  std::erase_if(rows, [&](const ResolvedRow& row) { return !wanted.contains(row.name); });
  return rows;
}

bool evaluates_teacher(const std::vector<ResolvedRow>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const ResolvedRow& row) {
    return std::find(row.cell.weights.begin(), row.cell.weights.end(), "teacher") != row.cell.weights.end();
  });
}

// What the rows of an experiment have in common. A phase of another experiment has that one's.
void complete(ResolvedCell& cell, const std::string& experiment, int64_t seed,
              const std::vector<Evaluation>& evaluations) {
  cell.seed = seed;
  if (cell.elsewhere) return;
  cell.experiment = experiment;
  cell.evaluations = evaluations;
}

void put_before(ResolvedCell& cell, std::vector<ResolvedCell> phases) {
  phases.insert(phases.end(), cell.earlier.begin(), cell.earlier.end());
  cell.earlier = std::move(phases);
}

void set_seed(ResolvedCell& cell, int64_t seed) {
  cell.seed = seed;
  for (ResolvedCell& phase : cell.earlier) phase.seed = seed;
}

// The search keys of a row and its bases.
std::vector<const Setting*> search_chain(const RowSpec& row, const std::vector<RowSpec>& rows) {
  Faults known;
  std::vector<const Setting*> chain;
  for (const RowSpec* link : base_chain(row, rows, known).value_or(std::vector<const RowSpec*>{}))
    chain.push_back(link->search ? &*link->search : nullptr);
  return chain;
}

// What the file's [search] makes of its rows.
std::optional<Search> read_search_of(const Setting* table, const std::vector<ResolvedRow>& resolved,
                                     const std::vector<RowSpec>& rows, const Sets& sets, const Experiment& experiment,
                                     const std::vector<Evaluation>& evaluations, RowResolver& resolver,
                                     Faults& faults) {
  if (table == nullptr) {
    for (const RowSpec& row : rows)
      if (row.search)
        faults.add(row.search->place, "there is no [search] that this could be part of; it says metric and effort");
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const Evaluation& evaluation : evaluations) names.push_back(evaluation.name);
  const auto settings = read_search(table, names, faults);
  const Entry* space = table->find("space");
  if (!settings) return std::nullopt;
  const std::vector<Dimension> shared = read_space(space ? &space->value : nullptr, settings->method, nullptr, faults);
  std::vector<std::string> keys;
  for (const Dimension& dimension : shared) keys.push_back(dimension.key);
  if (std::find(experiment.seeds.begin(), experiment.seeds.end(), tuning_seed(*settings)) != experiment.seeds.end())
    faults.add(settings->place,
               fmt::format("{} is the seed of the search's trials (1000000 + search.seed), and must be "
                           "none of experiment.seeds",
                           tuning_seed(*settings)));
  std::vector<RowToTune> to_tune;
  for (const ResolvedRow& row : resolved)
    to_tune.push_back({row.name,
                       row.point->suffix,
                       row.spec->place,
                       row_search(shared, search_chain(*row.spec, rows), settings->method, faults),
                       row.cell,
                       resolver.starts_of(*row.spec, *row.point),
                       {{"the matrix", &row.point->settings}, {"--set", &sets.settings}},
                       [&](const Overlays& overlays) { return resolver.resolve(*row.spec, *row.point, overlays); }});
  check_split(*settings, evaluations, to_tune, faults);
  if (!faults.empty()) return std::nullopt;  // so that one is not said again of every trial
  return tune(*settings, keys, to_tune, faults);
}

std::string with_sets(std::string source, const std::vector<std::string>& sets) {
  if (!sets.empty() && !source.empty() && source.back() != '\n') source += '\n';
  for (std::string set : sets) {
    std::replace(set.begin(), set.end(), '\n', ' ');
    source += "# --set " + set + "\n";
  }
  return source;
}

Experiment read_experiment(const ExperimentRequest& request, const Catalogue& catalogue, const Files& files) {
  Experiment experiment;
  experiment.file = request.file;
  const std::string text = read_file(request.file);
  experiment.source = with_sets(text, request.sets);

  Faults faults;
  std::optional<Setting> document = parse_toml(text, request.file.string(), faults);
  const Sets sets = read_sets(request.sets, faults);
  if (!document) faults.throw_if_any();
  lay_over(*document, sets.elsewhere);

  read_head(*document, request, experiment, faults);
  TableReader top(&*document, "", faults);
  top.take("experiment");
  for (const std::string& key : setting_keys()) top.take(key);
  Checkpoints checkpoints;
  const ResolveContext context{catalogue, faults, Completeness::complete, &checkpoints};
  const auto evaluation_tables = top.take_tables("evaluate");
  const std::vector<Evaluation> evaluations = resolve_evaluations(evaluation_tables, context);
  const std::vector<RowSpec> rows = read_rows(top.take_tables("row"), faults);
  if (rows.empty() && faults.empty())
    faults.add({request.file.string()}, "there are no rows; add a [[row]] with a name and an objective");
  const std::vector<MatrixPoint> points = read_matrix(top.take("matrix"), faults);
  RowResolver resolver(*document, sets, rows, context, files, experiment.name, experiment.written);
  std::vector<ResolvedRow> resolved = resolver.resolve(points);
  const Setting* search_table = top.take("search");
  std::optional<Search> search =
      read_search_of(search_table, resolved, rows, sets, experiment, evaluations, resolver, faults);
  for (auto& [name, row] : experiment.written)
    if (name.first == experiment.name)
      row.settings.set("evaluate", {{}, Setting::Array(evaluation_tables.begin(), evaluation_tables.end())});

  experiment.launcher = read_launcher(top.take("launcher"), faults);

  TableNames names;
  names.rows = names_of(rows);
  for (const MatrixPoint& point : points) names.suffixes.push_back(point.suffix);
  for (const Evaluation& evaluation : evaluations)
    if (!evaluation.name.empty()) names.evaluations.push_back(evaluation.name);
  names.teacher = evaluates_teacher(resolved);
  names.search = search_table != nullptr;
  experiment.tables = read_tables(top.take_tables("table"), experiment.title, names, faults);
  top.finish();

  resolved = chosen(std::move(resolved), request.rows, names, faults);
  faults.throw_if_any();

  for (const ResolvedRow& row : resolved) experiment.rows.push_back(row.name);
  if (search) keep_chosen(*search, experiment.rows);
  for (const int64_t seed : experiment.seeds) {
    for (const ResolvedRow& row : resolved) {
      if (search && find_tuned(*search, row.name) != nullptr) continue;
      // Weights that are there are what they are, whatever the seed.
      const bool once = is_evaluated_only(row.cell);
      if (once && seed != experiment.seeds.front()) continue;
      experiment.cells.push_back(row.cell);
      ResolvedCell& cell = experiment.cells.back();
      complete(cell, experiment.name, once ? 0 : seed, evaluations);
      for (ResolvedCell& phase : cell.earlier) complete(phase, experiment.name, seed, evaluations);
    }
  }
  if (search) {
    for (TunedRow& tuned : search->tuned)
      for (ResolvedCell& cell : tuned.candidates) {
        complete(cell, experiment.name, experiment.seeds.front(), evaluations);
        for (ResolvedCell& phase : cell.earlier)
          complete(phase, experiment.name, experiment.seeds.front(), evaluations);
      }
    experiment.search = std::move(search);
  }
  return experiment;
}

// Whether `text` holds `word` as a word of its own, or its plural.
bool has_word(std::string_view text, std::string_view word) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    std::string_view rest = text.substr(at + word.size());
    for (const std::string_view plural : {"es", "s"})
      if (rest.starts_with(plural)) rest.remove_prefix(plural.size());
    if ((at == 0 || !is_part(text[at - 1])) && (rest.empty() || !is_part(rest.front()))) return true;
  }
  return false;
}

// The entry of a table that a message speaks of, or else the one that names the plugin; null: neither.
const Entry* entry_spoken_of(const Setting& table, std::string_view message) {
  static constexpr std::array<std::string_view, 5> kNames = {"evaluator", "name", "backbone", "dataset", "tokenizer"};
  const Entry* found = nullptr;
  for (const Entry& entry : table.table()) {
    if (std::find(kNames.begin(), kNames.end(), entry.key) != kNames.end()) continue;
    if (entry.value.is_table() || !has_word(message, entry.key)) continue;
    const auto later = [](const Entry& one, const Entry& other) {
      return one.place.line != other.place.line ? one.place.line > other.place.line
                                                : one.place.column > other.place.column;
    };
    if (found == nullptr || later(entry, *found)) found = &entry;
  }
  for (const std::string_view name : kNames)
    if (found == nullptr) found = table.find(name);
  return found;
}

}  // namespace

std::vector<std::filesystem::path> plugins_of(const std::filesystem::path& file) {
  Faults syntax;
  const std::optional<Setting> document = parse_toml(read_file(file), file.string(), syntax);
  const Entry* table = document ? document->find("experiment") : nullptr;
  if (table == nullptr || !table->value.is_table()) return {};

  Faults faults;
  std::vector<std::string> names;
  TableReader(&table->value, "experiment", faults).read("plugins", names);
  faults.throw_if_any();
  std::vector<std::filesystem::path> places;
  for (const std::string& name : names) places.push_back((file.parent_path() / name).lexically_normal());
  return places;
}

const TunedRow* find_tuned(const Search& search, const std::string& row) {
  const auto found =
      std::find_if(search.tuned.begin(), search.tuned.end(), [&](const TunedRow& tuned) { return tuned.row == row; });
  return found == search.tuned.end() ? nullptr : &*found;
}

std::vector<std::string> deciding(const Search& search, const TunedRow& row) {
  std::vector<std::string> rows;
  for (const TunedRow* tuned = &row; tuned != nullptr; tuned = find_tuned(search, tuned->after))
    if (!tuned->by.empty() && !contains(rows, tuned->by)) rows.push_back(tuned->by);
  return rows;
}

std::vector<std::string> before_trials(const Search& search, const std::string& row) {
  const TunedRow* start = find_tuned(search, find_tuned(search, row)->after);
  return start == nullptr ? std::vector<std::string>{} : deciding(search, *start);
}

ResolvedCell chosen_cell(const Search& search, const TunedRow& row, const Choices& chosen) {
  ResolvedCell cell = row.candidates.at(row.by.empty() ? 0 : chosen.at(row.by));
  if (!row.after.empty()) put_before(cell, unchained(chosen_cell(search, *find_tuned(search, row.after), chosen)));
  return cell;
}

void choose(Experiment& experiment, const Choices& chosen) {
  if (!experiment.search) return;
  for (const TunedRow& tuned : experiment.search->tuned) {
    const std::vector<std::string> by = deciding(*experiment.search, tuned);
    const bool known = std::all_of(by.begin(), by.end(), [&](const auto& each) { return chosen.contains(each); });
    if (!known || !contains(experiment.rows, tuned.row)) continue;
    std::erase_if(experiment.cells, [&](const ResolvedCell& cell) { return cell.row == tuned.row; });
    const ResolvedCell cell = chosen_cell(*experiment.search, tuned, chosen);
    for (const int64_t seed : experiment.seeds) {
      experiment.cells.push_back(cell);
      set_seed(experiment.cells.back(), seed);
    }
  }
  const auto position = [](const auto& list, const auto& item) {
    return std::find(list.begin(), list.end(), item) - list.begin();
  };
  const auto place = [&](const ResolvedCell& cell) {
    const auto seed = is_evaluated_only(cell) ? 0 : position(experiment.seeds, cell.seed);
    return std::pair(seed, position(experiment.rows, cell.row));
  };
  std::stable_sort(experiment.cells.begin(), experiment.cells.end(),
                   [&](const ResolvedCell& one, const ResolvedCell& other) { return place(one) < place(other); });
}

std::map<std::size_t, ResolvedCell> trial_cells(const Search& search, const SearchedRow& row) {
  std::map<std::size_t, ResolvedCell> cells;
  const TunedRow& tuned = *find_tuned(search, row.row);
  for (std::size_t number = 0; number < row.points.size(); ++number)
    if (row.alike[number] == number)
      cells.emplace(number,
                    trial_cell(search.settings, tuned.candidates[number], tuned.others, static_cast<int64_t>(number)));
  return cells;
}

std::vector<ResolvedCell> start_of_trials(const Search& search, const std::string& row, const TrialCells& trials,
                                          const Choices& chosen) {
  const TunedRow* start = find_tuned(search, find_tuned(search, row)->after);
  if (start == nullptr) return {};
  ResolvedCell cell;
  if (start->by == start->row) {
    cell = trials.at(start->row).at(chosen.at(start->row));
  } else {
    cell = trial_cell(search.settings, start->candidates.at(start->by.empty() ? 0 : chosen.at(start->by)),
                      start->others, 0);
    cell.evaluations.clear();  // nothing is chosen by it
    for (ResolvedCell& phase : cell.earlier) phase.evaluations.clear();
  }
  put_before(cell, start_of_trials(search, start->row, trials, chosen));
  return unchained(cell);
}

Place place_of(const Experiment& experiment, const ResolvedCell& cell, std::string_view key, std::string_view message) {
  const auto row = experiment.written.find({cell.experiment, cell.row});
  if (row == experiment.written.end()) return {experiment.file.string()};
  const Setting* setting = &row->second.settings;
  Place place = row->second.place;
  std::string of_the_file;  // a trial has but one of the file's evaluations
  if (constexpr std::string_view kFirst = "evaluate.0"; cell.trial && experiment.search && key.starts_with(kFirst)) {
    const std::vector<Evaluation>& all = experiment.search->tuned.front().candidates.front().evaluations;
    const auto own = std::find_if(all.begin(), all.end(), [&](const Evaluation& evaluation) {
      return evaluation.name == experiment.search->settings.evaluation;
    });
    of_the_file = fmt::format("evaluate.{}{}", own - all.begin(), key.substr(kFirst.size()));
    key = of_the_file;
  }
  while (!key.empty()) {
    const std::string part(key.substr(0, key.find('.')));
    key.remove_prefix(std::min(key.size(), part.size() + 1));
    if (setting->is_array()) {
      const std::size_t index = std::stoul(part);
      if (index >= setting->array().size()) return place;
      setting = &setting->array()[index];
      place = setting->place;
      continue;
    }
    const Entry* entry = setting->find(part);
    if (entry == nullptr) break;
    if (!entry->place.file.empty()) place = entry->place;
    setting = &entry->value;
  }
  if (setting == &row->second.settings || !setting->is_table()) return place;
  const Entry* entry = entry_spoken_of(*setting, message);
  return entry != nullptr && !entry->place.file.empty() ? entry->place : place;
}

Experiment read_experiment(const ExperimentRequest& request, const Catalogue& catalogue) {
  return read_experiment(request, catalogue, {std::filesystem::weakly_canonical(request.file)});
}

}  // namespace silc
