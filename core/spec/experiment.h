// From an experiment file to cells. No LibTorch.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/cell.h"
#include "spec/diagnostics.h"
#include "spec/launcher.h"
#include "spec/search.h"
#include "spec/setting.h"

namespace silc {

// A [[table]]: what `silc report` prints.
struct TableSpec {
  std::string name;
  std::string title;                 // the experiment's unless it has its own
  std::string baseline;              // a row's name, which `rows` of the request may have left out
  std::vector<std::string> columns;  // "evaluator/metric", "evaluator/metric@teacher", "cost/flops", …; empty: all
  std::vector<std::string> rows;     // empty: all
};

// A row, or one of its phases, as files and command line have it.
struct WrittenRow {
  Place place;
  Setting settings;  // with the [[evaluate]] tables as "evaluate"; every value with its place
};

// A row whose trials are trained.
struct SearchedRow {
  std::string row;
  std::vector<Dimension> space;
  std::vector<SearchPoint> points;  // of the trials, in order; with an effort in FLOPs more than will be paid for
  std::vector<std::size_t> alike;   // the first trial with the same point, of each: itself, unless values are few
};

// A row whose cells are not known before a search has chosen.
struct TunedRow {
  std::string row;
  // The searched row that decides about its settings: itself, or one whose values it takes. Empty: they are as written.
  std::string by;
  // The tuned row that its first phase names. Empty: none.
  std::string after;
  // What each point of `by` makes of it, or the one that it is as written, without the phases of `after`, with the
  // experiment's first seed.
  std::vector<ResolvedCell> candidates;
  std::size_t others = 0;  // of a candidate's earlier phases those that rows train which no search decides about
};

struct Search {
  SearchSettings settings;
  std::vector<SearchedRow> searched;
  std::vector<TunedRow> tuned;  // the searched ones among them, also where they were not asked for
};

// What searches have chosen: the number of a trial, by searched row.
using Choices = std::map<std::string, std::size_t>;

// The cells of trials, by searched row and number.
using TrialCells = std::map<std::string, std::map<std::size_t, ResolvedCell>>;

struct Experiment {
  std::string name;
  std::string title;
  std::filesystem::path file;
  std::string source;             // the file's text, with --set applied as comments at its end
  std::vector<std::string> rows;  // that were asked for, in order of the file, matrix expanded
  std::vector<int64_t> seeds;
  std::vector<TableSpec> tables;  // at least one: where the file has none, all metrics against the first row
  std::map<std::pair<std::string, std::string>, WrittenRow> written;  // by experiment and row
  // One a row and seed, with its earlier phases; seed by seed, rows in order. Without tuned rows until choose().
  std::vector<ResolvedCell> cells;
  std::optional<Search> search = std::nullopt;
  LauncherSettings launcher = {};
};

struct ExperimentRequest {
  std::filesystem::path file = {};
  std::vector<std::string> sets = {};  // "KEY=VALUE" from --set, VALUE in TOML
  std::vector<std::string> rows = {};  // keep only the cells of these; empty: all
  std::vector<int64_t> seeds = {};     // replaces the file's; empty: the file's
};

// The folders (or libraries) of plugins that the file names in experiment.plugins, which is relative to the file. Empty
// for a file that read_experiment() will refuse. Throws SpecError if it is no list of texts; silc::Error if the file
// cannot be read.
std::vector<std::filesystem::path> plugins_of(const std::filesystem::path& file);

// Parses, resolves and checks everything against the catalogue. Data fingerprints are left empty.
//
// A row's settings are, each laid over the one before (spec/overlay.h): the file's, those of its base and the base's
// base, its own, the matrix's values, and those of --set, which so win over all. --set also changes what is no setting
// of a row (experiment.seeds, evaluate, …).
//
// With a matrix, row "CLIP" becomes one row for each combination of values, "CLIP [optimizer.lr=0.001]". A table whose
// baseline is "CLIP" then becomes one table for each combination, "components [optimizer.lr=0.001]", of the rows with
// these values. A table whose baseline is such a full name stays one table. In `rows` of a table and in
// ExperimentRequest::rows, a plain name stands for all its combinations.
//
// A row with [[row.phase]] is trained in phases. The settings of each are laid over the row's before those of the
// matrix, and the phases are cells of their own, "SILC* (phase 1)", but for the last, which bears the row's name. A
// first phase that names a row stands for the phases of that row, with the same values of the matrix; if it names an
// experiment too, a file, for those of a row of that one, in that one's run folders and with its evaluations. A row
// without phases of its own has those of its base.
//
// With a [search], every trial of every row is resolved and checked, too (spec/tuning.h).
//
// Throws SpecError; silc::Error if the file cannot be read.
Experiment read_experiment(const ExperimentRequest& request, const Catalogue& catalogue);

// With a [search], the rows that it tunes have no cells. This gives them theirs, of those about which all has been
// chosen.
void choose(Experiment& experiment, const Choices& chosen);

// Null: no search decides about the row.
const TunedRow* find_tuned(const Search& search, const std::string& row);

// The searched rows that decide what a tuned row is, those that decide about the rows that it starts from among them.
std::vector<std::string> deciding(const Search& search, const TunedRow& row);

// The searched rows that must have chosen before the row's trials can begin: those that decide about the rows that it
// starts from.
std::vector<std::string> before_trials(const Search& search, const std::string& row);

// A cell of the row, with the experiment's first seed. `chosen`: of all that decide about it.
ResolvedCell chosen_cell(const Search& search, const TunedRow& row, const Choices& chosen);

// The cells of a searched row's trials by their number, without those whose point is that of an earlier one, and
// without what start_of_trials() puts before them.
std::map<std::size_t, ResolvedCell> trial_cells(const Search& search, const SearchedRow& row);

// The phases that the trials of a row go on from, of the tuned row that it starts from; none: it starts from none. They
// are those of the trial that was chosen for that row, or, where another row's search has chosen its values, what these
// make of it, as a trial trains it. `trials`: of trial_cells(); `chosen`: of before_trials().
std::vector<ResolvedCell> start_of_trials(const Search& search, const std::string& row, const TrialCells& trials,
                                          const Choices& chosen);

// Where a fault of a cell or phase stands that was found later: at `key` ("model.image", "evaluate.0.dataset") of its
// settings, or as near to it as something is written. Of a table, at the option that `message` names, the last written
// if there are several. Where nothing is written: at the row.
Place place_of(const Experiment& experiment, const ResolvedCell& cell, std::string_view key, std::string_view message);

}  // namespace silc
