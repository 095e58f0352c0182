#include "spec/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "plugin/similar.h"
#include "spec/overlay.h"
#include "spec/search_points.h"
#include "spec/table_reader.h"

namespace silc {
namespace {

constexpr int64_t kFirstTuningSeed = 1'000'000;
constexpr double kMostTrials = 10'000;
constexpr std::array<std::string_view, 3> kMethodNames = {"random", "grid", "halving"};

// What decides a row's cost, what is evaluated, and how: the same effort would no longer be the same.
constexpr std::array<std::string_view, 4> kNotTuned = {"budget", "engine", "evaluation", "checkpoint"};

double parsed(const std::string& text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value + 0.0;  // -0.0 is 0.0
}

int exponent_of(double value) {
  const std::string text = fmt::format("{:.17e}", value);
  return std::stoi(text.substr(text.find('e') + 1));
}

double round_digits(double value) { return parsed(fmt::format("{:.3e}", value)); }

// To a ten-thousandth of the range or less.
double round_within(double value, double width) {
  return parsed(fmt::format("{:.{}f}", value, std::max(0, 4 - exponent_of(width))));
}

// low · (high / low)^fraction. By square roots and products alone, which every machine rounds alike.
double geometric(double low, double high, double fraction) {
  constexpr int kDigits = 48;
  double ratio = high / low;
  double value = low;
  for (int i = 0; i < kDigits; ++i) {
    ratio = std::sqrt(ratio);
    fraction *= 2;
    if (fraction < 1) continue;
    value *= ratio;
    fraction -= 1;
  }
  return value;
}

Setting number_setting(double value, bool whole, const Place& place) {
  if (whole) return {place, static_cast<int64_t>(value)};
  return {place, value};
}

std::string number_text(double value, bool whole) {
  return whole ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value);
}

// Two numbers in a list, the first below the second.
bool read_ends(const Setting& setting, const std::string& what, Dimension& dimension, Faults& faults) {
  std::array<double, 2> ends{};
  bool numbers = setting.is_array() && setting.array().size() == 2;
  for (std::size_t i = 0; numbers && i < 2; ++i) {
    const Setting& end = setting.array()[i];
    if (const auto* integer = std::get_if<int64_t>(&end.value))
      ends[i] = static_cast<double>(*integer);
    else if (const auto* number = std::get_if<double>(&end.value))
      ends[i] = *number;
    else
      numbers = false;
  }
  if (!numbers || !std::isfinite(ends[0]) || !std::isfinite(ends[1]) || ends[0] >= ends[1]) {
    faults.add(setting.place,
               fmt::format("{} must be two numbers, the first below the second, not {}", what, shown(setting)));
    return false;
  }
  if (dimension.kind == Dimension::Kind::log && ends[0] <= 0) {
    faults.add(setting.place, fmt::format("{} must be above 0, as it is logarithmic, not {}", what, shown(setting)));
    return false;
  }
  dimension.low = ends[0];
  dimension.high = ends[1];
  return true;
}

bool read_choices(const Setting& setting, const std::string& what, Dimension& dimension, Faults& faults) {
  if (!setting.is_array() || setting.array().empty()) {
    faults.add(setting.place, fmt::format("{} must be a list of values, not {}", what, shown(setting)));
    return false;
  }
  std::set<std::string> seen;
  for (const Setting& value : setting.array()) {
    if (seen.insert(toml_text(value)).second) continue;
    faults.add(value.place, fmt::format("{} has the value {} twice", what, shown(value)));
    return false;
  }
  dimension.choices = setting.array();
  return true;
}

bool is_false(const Setting& setting) {
  const auto* flag = std::get_if<bool>(&setting.value);
  return flag != nullptr && !*flag;
}

// Whether a table says what values a setting may take, and is no table of more dotted keys.
bool is_dimension(const Setting& table) {
  const auto says_values = [](const Entry& entry) {
    return !entry.value.is_table() && (entry.key == "log" || entry.key == "range" || entry.key == "choice");
  };
  return table.table().empty() || std::any_of(table.table().begin(), table.table().end(), says_values);
}

std::optional<Dimension> read_dimension(const std::string& key, const Place& place, const Setting& table,
                                        SearchMethod method, Faults& faults) {
  Dimension dimension;
  dimension.key = key;
  dimension.place = place;
  const std::string path = fmt::format("search.space: \"{}\"", key);
  const std::string first = key.substr(0, key.find('.'));
  const auto keys = setting_keys();
  if (std::find(kNotTuned.begin(), kNotTuned.end(), first) != kNotTuned.end()) {
    faults.add(place, fmt::format("{} cannot be tuned: trials of different {} are not the same effort, or tell nothing "
                                  "of training",
                                  path, first));
    return std::nullopt;
  }
  if (std::find(keys.begin(), keys.end(), first) == keys.end() || first == key) {
    faults.add(place, fmt::format("{} is no setting of a row{}", path, suggestion(first, keys)));
    return std::nullopt;
  }
  TableReader reader(&table, path, faults);
  const Setting* log = reader.take("log");
  const Setting* range = reader.take("range");
  const Setting* choice = reader.take("choice");
  reader.read("steps", dimension.steps, {2, 1000});
  reader.finish();
  if ((log != nullptr) + (range != nullptr) + (choice != nullptr) != 1) {
    faults.add(table.place, fmt::format("{} must have one of log = [low, high], range = [low, high] and choice = "
                                        "[values…]",
                                        path));
    return std::nullopt;
  }
  dimension.kind = log ? Dimension::Kind::log : range ? Dimension::Kind::range : Dimension::Kind::choice;
  const bool grid = method == SearchMethod::grid;
  if (dimension.steps != 0 && (choice || !grid))
    reader.fault("steps", grid ? "is for ranges; a choice has its values" : "is for method = \"grid\"");
  if (dimension.steps == 0 && !choice && grid)
    faults.add(table.place, fmt::format("{}: a grid needs to know how many values to take, as in steps = 3", path));
  const bool sound = choice ? read_choices(*choice, path + ".choice", dimension, faults)
                            : read_ends(log ? *log : *range, path + (log ? ".log" : ".range"), dimension, faults);
  return sound ? std::optional(dimension) : std::nullopt;
}

void collect_dimensions(const Setting& table, const std::string& above, SearchMethod method,
                        std::vector<std::string>* left_out, std::vector<Dimension>& space, Faults& faults) {
  for (const Entry& entry : table.table()) {
    const std::string key = above.empty() ? entry.key : above + "." + entry.key;
    if (left_out != nullptr && is_false(entry.value)) {
      left_out->push_back(key);
    } else if (!entry.value.is_table()) {
      faults.add(entry.value.place, fmt::format("search.space: \"{}\" must be a table, as in {{ log = [1e-4, 1e-2] }}, "
                                                "not {}",
                                                key, shown(entry.value)));
    } else if (is_dimension(entry.value)) {
      if (auto dimension = read_dimension(key, entry.place, entry.value, method, faults))
        space.push_back(*std::move(dimension));
    } else {
      collect_dimensions(entry.value, key, method, left_out, space, faults);
    }
  }
}

void put(std::vector<Dimension>& space, Dimension dimension) {
  const auto same =
      std::find_if(space.begin(), space.end(), [&](const Dimension& each) { return each.key == dimension.key; });
  if (same == space.end())
    space.push_back(std::move(dimension));
  else
    *same = std::move(dimension);
}

void read_effort(TableReader& reader, const Setting& table, SearchSettings& search, Faults& faults) {
  reader.read("trials", search.trials, {1, kMostTrials});
  reader.read("flops", search.flops, {0, std::numeric_limits<double>::infinity(), true});
  const bool trials = table.find("trials") != nullptr;
  const bool flops = table.find("flops") != nullptr;
  if (trials && flops)
    reader.fault("flops", "is one too many: the effort of a row is in trials or in flops");
  else if (!trials && !flops && search.method != SearchMethod::grid)
    faults.add(table.place, "[search] does not say how much effort each row gets; trials = 16, say");
  else if (flops && search.method == SearchMethod::halving)
    reader.fault("flops",
                 "cannot be said of method = \"halving\", which decides itself how far each trial goes; say "
                 "trials");
}

void read_metric(TableReader& reader, const Setting& table, const std::vector<std::string>& evaluations,
                 SearchSettings& search, Faults& faults) {
  static const std::array<std::string, 2> kWeights = {"student", "teacher"};
  reader.read("metric", search.metric);
  const Entry* entry = table.find("metric");
  if (entry == nullptr) {
    faults.add(table.place, "[search] has no metric to choose by; metric = \"EVALUATION/METRIC\", as in table columns");
    return;
  }
  search.metric_place = entry->value.place;
  const std::size_t slash = search.metric.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == search.metric.size()) {
    reader.fault("metric", fmt::format("must look like \"evaluation/metric\", not \"{}\"", search.metric));
    return;
  }
  search.evaluation = search.metric.substr(0, slash);
  search.name = search.metric.substr(slash + 1);
  if (std::find(evaluations.begin(), evaluations.end(), search.evaluation) == evaluations.end())
    reader.fault("metric", fmt::format("\"{}\": no [[evaluate]] is named \"{}\"{}", search.metric, search.evaluation,
                                       suggestion(search.evaluation, evaluations)));
  for (const std::string& weights : kWeights)
    if (search.name.ends_with("@" + weights)) {
      search.weights = weights;
      search.name.resize(search.name.size() - weights.size() - 1);
    }
}

// As many as they are, where they can be counted; more than `most`: most + 1.
int64_t grid_size(const std::vector<Dimension>& space, int64_t most) {
  int64_t size = 1;
  for (const Dimension& dimension : space) size = std::min(most + 1, size * std::max<int64_t>(1, dimension.size()));
  return size;
}

// The last dimension varies fastest.
SearchPoint grid_point(const std::vector<Dimension>& space, int64_t number) {
  SearchPoint point(space.size());
  for (std::size_t i = space.size(); i-- > 0;) {
    const Dimension& dimension = space[i];
    const int64_t size = dimension.size();
    const int64_t step = number % size;
    number /= size;
    point[i] = dimension.kind == Dimension::Kind::choice
                   ? dimension.choices[static_cast<std::size_t>(step)]
                   : dimension.value(static_cast<double>(step) / static_cast<double>(size - 1));
  }
  return point;
}

bool has_one_unit(const std::vector<ResolvedCell>& phases) {
  return std::all_of(phases.begin(), phases.end(),
                     [&](const ResolvedCell& phase) { return phase.budget.unit == phases.front().budget.unit; });
}

double scaled_amount(const SearchSettings& search, const Budget& budget) {
  const double amount = search.budget * budget.amount;
  return budget.unit == BudgetUnit::examples ? std::round(amount) : amount;
}

}  // namespace

std::string_view method_name(SearchMethod method) { return kMethodNames[static_cast<std::size_t>(method)]; }

int64_t Dimension::size() const {
  if (kind == Kind::choice) return static_cast<int64_t>(choices.size());
  if (steps > 0) return whole ? std::min(steps, static_cast<int64_t>(high - low) + 1) : steps;
  return whole ? static_cast<int64_t>(high - low) + 1 : 0;
}

Setting Dimension::value(double u) const {
  if (kind == Kind::choice) {
    const auto index = static_cast<std::size_t>(u * static_cast<double>(choices.size()));
    return choices[std::min(index, choices.size() - 1)];
  }
  if (u <= 0) return number_setting(low, whole, place);
  if (u >= 1) return number_setting(high, whole, place);
  // In a grid the ends are values; elsewhere each whole number has its share of the range.
  const double half = whole && steps == 0 ? 0.5 : 0;
  double value = 0;
  if (kind == Kind::log)
    value = geometric(low - half, high + half, u);
  else
    value = std::fma(u, high - low + 2 * half, low - half);
  if (whole)
    value = std::round(value);
  else
    value = kind == Kind::log ? round_digits(value) : round_within(value, high - low);
  return number_setting(std::clamp(value, low, high), whole, place);
}

std::string Dimension::text() const {
  if (kind == Kind::choice) {
    std::string list;
    for (const Setting& choice : choices)
      list += (list.empty() ? "" : ", ") + (choice.is_text() ? choice.text() : toml_text(choice));
    return list;
  }
  return fmt::format("{} to {}{}{}", number_text(low, whole), number_text(high, whole),
                     kind == Kind::log ? ", logarithmic" : "", steps > 0 ? fmt::format(", {} values", steps) : "");
}

int64_t tuning_seed(const SearchSettings& search) { return kFirstTuningSeed + search.seed; }

std::vector<double> rungs_of(const SearchSettings& search) {
  std::vector<double> rungs;
  int64_t parts = 1;
  for (int64_t rung = 0; rung < search.rungs; ++rung) {
    rungs.push_back(1.0 / static_cast<double>(parts));
    parts *= search.reduction;
  }
  std::reverse(rungs.begin(), rungs.end());
  return rungs;
}

std::optional<SearchSettings> read_search(const Setting* table, const std::vector<std::string>& evaluations,
                                          Faults& faults) {
  static const std::vector<std::string> methods(kMethodNames.begin(), kMethodNames.end());
  if (table == nullptr) return std::nullopt;
  SearchSettings search;
  search.place = table->place;
  TableReader reader(table, "search", faults);
  if (!table->is_table()) return std::nullopt;
  std::string method = methods.front();
  reader.read("method", method, methods);
  search.method = static_cast<SearchMethod>(std::find(methods.begin(), methods.end(), method) - methods.begin());
  read_effort(reader, *table, search, faults);
  read_metric(reader, *table, evaluations, search, faults);
  reader.read("split", search.split);
  search.split_place = table->find("split") ? table->find("split")->value.place : table->place;
  reader.read("seed", search.seed, {0, 1e9});
  reader.read("budget", search.budget, {0, 1, true});
  reader.read("reduction", search.reduction, {2, 16});
  reader.read("rungs", search.rungs, {2, 8});
  if (search.method != SearchMethod::halving)
    for (const char* key : {"reduction", "rungs"})
      if (table->find(key)) reader.fault(key, "is for method = \"halving\"");
  reader.take("space");
  reader.finish();
  return search;
}

std::vector<Dimension> read_space(const Setting* space, SearchMethod method, std::vector<std::string>* left_out,
                                  Faults& faults) {
  std::vector<Dimension> dimensions;
  if (space == nullptr) return dimensions;
  if (!space->is_table()) {
    faults.add(space->place, fmt::format("search.space must be a table, as in {{ \"optimizer.lr\" = {{ log = [1e-4, "
                                         "1e-2] }} }}, not {}",
                                         shown(*space)));
    return dimensions;
  }
  collect_dimensions(*space, "", method, left_out, dimensions, faults);
  return dimensions;
}

RowSearch row_search(const std::vector<Dimension>& shared, std::span<const Setting* const> chain, SearchMethod method,
                     Faults& faults) {
  RowSearch search;
  search.space = shared;
  for (const Setting* setting : chain) {
    if (setting == nullptr) continue;
    search.place = setting->place;
    if (is_false(*setting)) {
      search.kind = RowSearch::Kind::fixed;
    } else if (is_name(*setting)) {
      search.kind = RowSearch::Kind::shared;
      search.shared_with = setting->text();
    } else if (setting->is_table()) {
      search.kind = RowSearch::Kind::own;
      TableReader reader(setting, "search", faults);
      std::vector<std::string> left_out;
      for (Dimension& dimension : read_space(reader.take("space"), method, &left_out, faults))
        put(search.space, std::move(dimension));
      reader.finish();
      std::erase_if(search.space, [&](const Dimension& dimension) {
        return std::find(left_out.begin(), left_out.end(), dimension.key) != left_out.end();
      });
    } else {
      faults.add(setting->place, fmt::format("a row's search must be a table with its own space, the name of a row "
                                             "whose values it takes, or false, which leaves its settings as they are; "
                                             "not {}",
                                             shown(*setting)));
    }
  }
  return search;
}

std::vector<SearchPoint> search_points(const SearchSettings& search, const std::vector<Dimension>& space,
                                       const std::vector<std::string>& axes, int64_t most) {
  std::vector<SearchPoint> points;
  if (search.method == SearchMethod::grid) {
    const int64_t size = grid_size(space, most);
    for (int64_t number = 0; number < std::min(size, most); ++number) points.push_back(grid_point(space, number));
    return points;
  }
  for (int64_t number = 0; number < most; ++number) {
    SearchPoint& point = points.emplace_back();
    for (const Dimension& dimension : space) {
      const auto axis = std::find(axes.begin(), axes.end(), dimension.key) - axes.begin();
      point.push_back(dimension.value(
          quasi_random(static_cast<std::size_t>(axis), number, static_cast<uint64_t>(search.seed), dimension.key)));
    }
  }
  return points;
}

Setting point_settings(const std::vector<Dimension>& space, const SearchPoint& point) {
  Setting settings{{}, Setting::Table{}};
  for (std::size_t i = 0; i < space.size(); ++i) lay_over(settings, setting_at(space[i].key, point[i], space[i].place));
  return settings;
}

std::vector<double> parts_of(const ResolvedCell& cell, std::size_t others) {
  std::vector<ResolvedCell> phases = unchained(cell);
  phases.erase(phases.begin(), phases.begin() + static_cast<std::ptrdiff_t>(others));
  const bool alike = has_one_unit(phases);
  std::vector<double> parts;
  double whole = 0;
  for (const ResolvedCell& phase : phases) whole += parts.emplace_back(alike ? phase.budget.amount : 1);
  for (double& part : parts) part /= whole;
  return parts;
}

std::vector<RungPlace> rung_places(const SearchSettings& search, const std::vector<double>& parts) {
  constexpr double kRounding = 1e-9;
  if (search.method != SearchMethod::halving) return {{parts.size() - 1, 1}};
  std::vector<RungPlace> places;
  for (const double rung : rungs_of(search)) {
    std::size_t phase = 0;
    double before = 0;
    while (phase + 1 < parts.size() && before + parts[phase] < rung - kRounding) before += parts[phase++];
    const double fraction = (rung - before) / parts[phase];
    places.push_back({phase, fraction > 1 - kRounding ? 1 : fraction});
  }
  return places;
}

ResolvedCell trial_cell(const SearchSettings& search, const ResolvedCell& cell, std::size_t others, int64_t number) {
  ResolvedCell trial = cell;
  const std::string weights = search.weights.empty() ? cell.weights.front() : search.weights;
  std::set<std::size_t> compared;  // own phases
  for (const RungPlace& rung : rung_places(search, parts_of(cell, others))) compared.insert(rung.phase);
  const auto evaluate = [&](ResolvedCell& phase) {
    std::erase_if(phase.evaluations,
                  [&](const Evaluation& evaluation) { return evaluation.name != search.evaluation; });
    for (Evaluation& evaluation : phase.evaluations) {
      evaluation.data.split = search.split;
      evaluation.data.fingerprint.clear();  // it is other data
    }
    phase.weights = {weights};
  };
  const auto shorten = [&](ResolvedCell& phase) {
    phase.seed = tuning_seed(search);
    phase.trial = number;
    phase.budget.amount = scaled_amount(search, phase.budget);
  };
  shorten(trial);
  evaluate(trial);
  for (std::size_t i = 0; i < trial.earlier.size(); ++i) {
    ResolvedCell& phase = trial.earlier[i];
    shorten(phase);
    if (i >= others && compared.contains(i - others))
      evaluate(phase);
    else
      phase.evaluations.clear();
    if (i >= others) continue;
    phase.trial = 0;
    phase.row = row_label(phase);
    phase.elsewhere = false;
    phase.experiment = trial.experiment;
  }
  return trial;
}

std::string tuning_fault(const SearchSettings& search, const ResolvedCell& cell, std::size_t others) {
  std::vector<ResolvedCell> phases = unchained(cell);
  const std::vector<ResolvedCell> own(phases.begin() + static_cast<std::ptrdiff_t>(others), phases.end());
  if (search.method == SearchMethod::halving && !has_one_unit(own))
    return "has phases with budgets of different units, of which method = \"halving\" cannot tell what part of the "
           "whole a trial has trained; \"random\" can tune it";
  const std::string weights = search.weights.empty() ? cell.weights.front() : search.weights;
  for (const RungPlace& rung : rung_places(search, parts_of(cell, others))) {
    const ResolvedCell& phase = own.at(rung.phase);
    if (std::find(phase.weights.begin(), phase.weights.end(), weights) == phase.weights.end())
      return fmt::format(
          "does not evaluate the {}{}, by which the search chooses ({}); add it to evaluation.weights", weights,
          rung.phase + 1 == own.size() ? "" : " in the phase in which trials are first compared", search.metric);
  }
  const auto update_of = [](const ResolvedCell& phase) {
    return static_cast<double>(phase.optimizer.batch * phase.optimizer.accumulate);
  };
  if (search.method == SearchMethod::halving && own.front().budget.unit == BudgetUnit::examples) {
    double first = 0;
    for (const ResolvedCell& phase : own) first += rungs_of(search).front() * scaled_amount(search, phase.budget);
    if (first < update_of(own.front()))
      return fmt::format(
          "would have its trials compared after {:.3g} examples already: less than one update of {}; "
          "fewer rungs or a larger budget are needed",
          first, update_of(own.front()));
  }
  for (const ResolvedCell& phase : phases) {
    const double update = update_of(phase);
    if (phase.budget.unit == BudgetUnit::examples && scaled_amount(search, phase.budget) < update)
      return fmt::format("has a budget of {} examples, of which a trial trains {}: less than one update of {}",
                         phase.budget.amount, scaled_amount(search, phase.budget), update);
  }
  return "";
}

}  // namespace silc
