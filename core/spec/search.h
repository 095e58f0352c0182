// [search]: what is tuned, how, and with what effort. No LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/cell.h"
#include "spec/setting.h"

namespace silc {

enum class SearchMethod {
  random,   // a quasi-random sequence (spec/search_points.h)
  grid,     // every combination of values
  halving,  // the points of `random`, of which the best go on: asynchronous successive halving
};

std::string_view method_name(SearchMethod method);

// A setting that is tuned, and the values that it may take.
struct Dimension {
  enum class Kind { choice, range, log };

  std::string key;  // "optimizer.lr"
  Place place;      // of the key
  Kind kind = Kind::choice;
  double low = 0;      // of range and log, ends included
  double high = 0;     // above `low`
  bool whole = false;  // of those: whole numbers, because the setting is one
  int64_t steps = 0;   // of those in a grid
  std::vector<Setting> choices = {};

  // How many values it has; 0: more than can be counted.
  [[nodiscard]] int64_t size() const;
  // Its value at `u` in [0, 1], numbers rounded to four digits of the value (log) or of the range; the ends at 0 and 1.
  [[nodiscard]] Setting value(double u) const;
  // "1e-4 to 1e-2, logarithmic", "0.01, 0.1"
  [[nodiscard]] std::string text() const;
};

// The [search] table without its space.
struct SearchSettings {
  SearchMethod method = SearchMethod::random;
  int64_t trials = 0;  // of each row; 0: as many as `flops` pay for, or all of a grid
  double flops = 0;    // that the trials of a row may cost; 0: `trials` counts
  std::string metric;  // "EVALUATION/METRIC", with @student or @teacher behind it or without
  std::string evaluation;
  std::string name;     // of the metric: "acc1"
  std::string weights;  // "student", "teacher"; empty: those that a row's plain columns mean
  std::string split = "validation";
  int64_t seed = 0;       // of points and training
  double budget = 1;      // part of the row's budget that a trial trains, above 0
  int64_t reduction = 3;  // of halving: one in so many goes on
  int64_t rungs = 3;      // of halving: where trials are compared, the end included
  Place place;
  Place metric_place;
  Place split_place;
};

// The seed that trials are trained with, which is none of the experiment's.
int64_t tuning_seed(const SearchSettings& search);

// Where trials of halving are compared, as parts of a trial's budget: 1/9, 1/3, 1.
std::vector<double> rungs_of(const SearchSettings& search);

// Nothing without a [search]. Faults are added; what is returned is of use only if there are none.
std::optional<SearchSettings> read_search(const Setting* table, const std::vector<std::string>& evaluations,
                                          Faults& faults);

// `space = { "optimizer.lr" = { log = [1e-4, 1e-2] }, … }`, keys in quotes or dotted. `left_out` gets the keys whose
// value is false, which rows write to do without a dimension; null: none may be.
std::vector<Dimension> read_space(const Setting* space, SearchMethod method, std::vector<std::string>* left_out,
                                  Faults& faults);

// What a row says of its search, laid over what its bases and the file say.
struct RowSearch {
  enum class Kind { own, shared, fixed };
  Kind kind = Kind::own;
  std::string shared_with = {};  // a row's name, without values of a matrix
  Place place = {};
  std::vector<Dimension> space = {};
};

// `chain`: the `search` keys of the row and its bases, furthest first, null where one has none.
RowSearch row_search(const std::vector<Dimension>& shared, std::span<const Setting* const> chain, SearchMethod method,
                     Faults& faults);

// A trial's point: a value for each dimension of the row's space.
using SearchPoint = std::vector<Setting>;

// The points of a row, in order of the trials. `axes`: the keys of all rows' dimensions, which give each its own axis
// of the sequence: two rows have the same values where they have the same dimension. At most `most`.
std::vector<SearchPoint> search_points(const SearchSettings& search, const std::vector<Dimension>& space,
                                       const std::vector<std::string>& axes, int64_t most);

// The point as settings, plugins expanded.
Setting point_settings(const std::vector<Dimension>& space, const SearchPoint& point);

// Where in a row's phases trials of halving are compared: at a part of the budget of one of them, 1 being its end.
struct RungPlace {
  std::size_t phase = 0;
  double fraction = 1;

  friend bool operator==(const RungPlace&, const RungPlace&) = default;
};

// The parts that a row's own phases are of its whole budget. `others`: how many of the cell's earlier phases other rows
// train. Phases whose budgets have different units count alike.
std::vector<double> parts_of(const ResolvedCell& cell, std::size_t others);

// The rungs of a row with such phases, each a part of the whole; without halving the end alone.
std::vector<RungPlace> rung_places(const SearchSettings& search, const std::vector<double>& parts);

// A trial: `cell`, a row's with the point's settings and its evaluations, trained with the tuning seed for a part of
// its budget, and evaluated by the search's metric on its split alone, the fingerprint of which it does not know. Its
// earlier phases are trained likewise, and evaluated likewise where trials are compared in them, or else not at all.
// The first `others` of them, which other rows train, are the same for all trials, and are the first one's.
ResolvedCell trial_cell(const SearchSettings& search, const ResolvedCell& cell, std::size_t others, int64_t number);

// Why a row cannot be tuned as it is; empty if it can.
std::string tuning_fault(const SearchSettings& search, const ResolvedCell& cell, std::size_t others);

}  // namespace silc
