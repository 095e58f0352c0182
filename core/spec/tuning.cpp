#include "spec/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "plugin/similar.h"
#include "spec/cell_settings.h"
#include "spec/search_points.h"

namespace silc {
namespace {

// How many trials a row may come to that are paid for in FLOPs.
constexpr int64_t kMostPaidTrials = 256;
constexpr int64_t kMostOfAGrid = 10'000;

const Setting* find_at(const Setting& settings, std::string_view key) {
  const Setting* setting = &settings;
  while (!key.empty() && setting != nullptr) {
    const std::string_view part = key.substr(0, key.find('.'));
    key.remove_prefix(std::min(key.size(), part.size() + 1));
    const Entry* entry = setting->find(part);
    setting = entry ? &entry->value : nullptr;
  }
  return setting;
}

bool is_whole_number(const ResolvedCell& cell, const std::string& key) {
  const Setting settings = cell_settings(cell);
  const Setting* setting = find_at(settings, key);
  return setting != nullptr && std::holds_alternative<int64_t>(setting->value);
}

class Tuning {
 public:
  Tuning(const SearchSettings& settings, const std::vector<std::string>& shared, const std::vector<RowToTune>& rows,
         Faults& faults)
      : settings_(settings), rows_(rows), faults_(faults), axes_(shared) {
    for (const RowToTune& row : rows)
      for (const Dimension& dimension : row.search.space)
        if (std::find(axes_.begin(), axes_.end(), dimension.key) == axes_.end()) axes_.push_back(dimension.key);
  }

  Search tune() {
    search_.settings = settings_;
    if (axes_.size() > kMostDimensions) {
      faults_.add(settings_.place,
                  fmt::format("the search has {} dimensions; {} is the most", axes_.size(), kMostDimensions));
      return search_;
    }
    for (const RowToTune& row : rows_) decides_[&row] = decided_by(row);
    for (const RowToTune& row : rows_)
      if (is_searched(row)) add_searched(row);
    for (const RowToTune& row : rows_) add_tuned(row);
    for (const SearchedRow& row : search_.searched) check_order(row);
    if (search_.tuned.empty() && faults_.empty())
      faults_.add(settings_.place, "there is a [search], but no row that it tunes");
    return search_;
  }

 private:
  // Weights that are evaluated as they are have nothing to tune.
  static bool is_searched(const RowToTune& row) {
    return row.search.kind == RowSearch::Kind::own && !is_evaluated_only(row.cell);
  }

  [[nodiscard]] const RowToTune* find(const std::string& name) const {
    const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const RowToTune& each) { return each.name == name; });
    return row == rows_.end() ? nullptr : &*row;
  }

  void add_searched(const RowToTune& row) {
    if (!is_fit(row)) return;
    SearchedRow searched{row.name, row.search.space, {}, {}};
    const std::size_t before = faults_.count();
    for (Dimension& dimension : searched.space) check_dimension(row, dimension);
    if (faults_.count() == before) check_ends(row, searched.space);
    if (faults_.count() != before) return;
    if (settings_.method == SearchMethod::grid && !fits_grid(row, searched.space)) return;
    searched.points = search_points(settings_, searched.space, axes_, most_points());
    std::map<std::string, std::size_t> known;
    for (const SearchPoint& point : searched.points)
      searched.alike.push_back(
          known.try_emplace(toml_text({{}, Setting::Array(point)}), searched.alike.size()).first->second);
    search_.searched.push_back(std::move(searched));
  }

  [[nodiscard]] int64_t most_points() const {
    if (settings_.trials > 0) return settings_.trials;
    return settings_.method == SearchMethod::grid && settings_.flops == 0 ? kMostOfAGrid : kMostPaidTrials;
  }

  bool is_fit(const RowToTune& row) {
    const auto refuse = [&](const std::string& why) {
      faults_.add(row.place,
                  fmt::format("row \"{}\" {}. search = false leaves the row's settings as they are", row.name, why));
      return false;
    };
    if (row.search.space.empty()) return refuse("has nothing to tune: neither [search] nor the row has a space");
    const std::string fault = tuning_fault(settings_, row.cell, before(row));
    return fault.empty() || refuse(fault);
  }

  void check_dimension(const RowToTune& row, Dimension& dimension) {
    for (const auto& [name, settings] : row.above)
      if (find_at(*settings, dimension.key) != nullptr)
        faults_.add(dimension.place, fmt::format("\"{}\" cannot be tuned, as {} says what it is", dimension.key, name));
    if (dimension.kind == Dimension::Kind::choice) return;
    dimension.whole = is_whole_number(row.cell, dimension.key);
    if (dimension.whole && (dimension.low != static_cast<double>(static_cast<int64_t>(dimension.low)) ||
                            dimension.high != static_cast<double>(static_cast<int64_t>(dimension.high))))
      faults_.add(dimension.place,
                  fmt::format("\"{}\" is a whole number, and so must be the ends of its range", dimension.key));
  }

  // That every end of every dimension may be there. What lies between them may then be, too.
  void check_ends(const RowToTune& row, const std::vector<Dimension>& space) {
    SearchPoint first;
    for (const Dimension& dimension : space) first.push_back(dimension.value(0));
    row.resolve({{row.name, point_settings(space, first)}});
    for (std::size_t i = 0; i < space.size(); ++i) {
      SearchPoint point = first;
      std::vector<Setting> ends = space[i].choices;
      if (ends.empty()) ends = {space[i].value(1)};
      for (const Setting& end : ends) {
        point[i] = end;
        row.resolve({{row.name, point_settings(space, point)}});
      }
    }
  }

  bool fits_grid(const RowToTune& row, const std::vector<Dimension>& space) {
    int64_t points = 1;
    for (const Dimension& dimension : space) points = std::min<int64_t>(points * dimension.size(), kMostOfAGrid + 1);
    const int64_t most = settings_.trials > 0 ? settings_.trials : kMostOfAGrid;
    if (points <= most) return true;
    faults_.add(settings_.place,
                fmt::format("the grid of row \"{}\" has {}{} points, and {} trials are {}; fewer steps or values, or "
                            "more trials",
                            row.name, points > kMostOfAGrid ? "more than " : "", std::min(points, kMostOfAGrid), most,
                            settings_.trials > 0 ? "what each row gets" : "the most there can be"));
    return false;
  }

  // That no search needs its own choice before it begins.
  void check_order(const SearchedRow& row) {
    std::vector<std::string> needed;
    const std::function<void(const std::string&)> need = [&](const std::string& name) {
      const TunedRow* tuned = find_tuned(search_, name);
      const TunedRow* start = tuned == nullptr ? nullptr : find_tuned(search_, tuned->after);
      if (start == nullptr) return;
      for (const std::string& each : deciding(search_, *start)) {
        if (std::find(needed.begin(), needed.end(), each) != needed.end()) continue;
        needed.push_back(each);
        need(each);
      }
    };
    need(row.row);
    if (std::find(needed.begin(), needed.end(), row.row) == needed.end()) return;
    const RowToTune& written = *find(row.row);
    faults_.add(written.place,
                fmt::format("row \"{}\" starts from \"{}\", which takes its values from a search that needs "
                            "those of \"{}\" first; give \"{}\" a search of its own",
                            row.row, start_of(written)->name, row.row, start_of(written)->name));
  }

  // The searched row whose values a row takes; null and no fault: none.
  const RowToTune* decided_by(const RowToTune& row) {
    if (is_evaluated_only(row.cell) || row.search.kind == RowSearch::Kind::fixed) return nullptr;
    if (row.search.kind == RowSearch::Kind::own) return &row;
    const RowToTune* other = find(row.search.shared_with + row.suffix);
    if (other == nullptr) other = find(row.search.shared_with);
    if (other != nullptr && is_searched(*other)) return other;
    std::vector<std::string> names;
    for (const RowToTune& each : rows_)
      if (is_searched(each)) names.push_back(each.name);
    faults_.add(row.search.place, fmt::format("there is no row \"{}\" with a search of its own, whose values this row "
                                              "could take{}",
                                              row.search.shared_with, suggestion(row.search.shared_with, names)));
    return nullptr;
  }

  // The row that a row's first phase names; null: none of this experiment, or weights that are evaluated as they are,
  // which have no phases.
  [[nodiscard]] const RowToTune* start_of(const RowToTune& row) const {
    const RowToTune* start = row.starts_from.empty() ? nullptr : find(row.starts_from.front());
    return start == nullptr || is_evaluated_only(start->cell) ? nullptr : start;
  }

  // How many of a row's earlier phases other rows train.
  [[nodiscard]] std::size_t before(const RowToTune& row) const {
    if (const RowToTune* start = start_of(row)) return start->cell.earlier.size() + 1;
    return static_cast<std::size_t>(std::count_if(row.cell.earlier.begin(), row.cell.earlier.end(),
                                                  [](const ResolvedCell& phase) { return phase.elsewhere; }));
  }

  // Whether a search decides about a row, or about one that it starts from.
  bool is_tuned(const RowToTune& row) {
    if (decides_[&row] != nullptr) return true;
    const RowToTune* start = start_of(row);
    return start != nullptr && is_tuned(*start);
  }

  // All phases of a row have the same model, so that a search of the model alone must decide about all of them.
  bool has_one_model(const RowToTune& row) {
    const RowToTune* by = decides_[&row];
    for (const RowToTune* start = start_of(row); start != nullptr; start = start_of(*start)) {
      const RowToTune* other = decides_[start];
      if (other == nullptr || other == by) continue;
      for (const Dimension& dimension : other->search.space) {
        if (!dimension.key.starts_with("model.")) continue;
        faults_.add(
            row.place,
            fmt::format("row \"{}\" starts from \"{}\", for which \"{}\" is tuned, and all phases of a row have "
                        "the same model; search = \"{}\" takes what is chosen there",
                        row.name, start->name, dimension.key, other->name));
        return false;
      }
    }
    return true;
  }

  void add_tuned(const RowToTune& row) {
    if (!is_tuned(row) || !has_one_model(row)) return;
    const RowToTune* by = decides_[&row];
    const RowToTune* start = start_of(row);
    const bool after_tuned = start != nullptr && is_tuned(*start);
    TunedRow tuned{row.name, by == nullptr ? "" : by->name, after_tuned ? start->name : "", {}, 0};
    if (!after_tuned) tuned.others = before(row);
    const auto take = [&](const Overlays& overlays) {
      auto cell = row.resolve(overlays);
      if (!cell) return false;
      if (after_tuned)
        cell->earlier.erase(cell->earlier.begin(), cell->earlier.begin() + static_cast<std::ptrdiff_t>(before(row)));
      tuned.candidates.push_back(*std::move(cell));
      return true;
    };
    if (by == nullptr) {
      if (!take({})) return;
    } else {
      const auto searched = std::find_if(search_.searched.begin(), search_.searched.end(),
                                         [&](const SearchedRow& each) { return each.row == by->name; });
      if (searched == search_.searched.end()) return;  // a fault already
      // Rows that it starts from get the same point where the same search decides, so that the model is theirs.
      std::vector<std::string> overlaid = {row.name};
      for (const RowToTune* each = start; each != nullptr; each = start_of(*each))
        if (decides_[each] == by) overlaid.push_back(each->name);
      for (const SearchPoint& point : searched->points) {
        Overlays overlays;
        for (const std::string& name : overlaid) overlays[name] = point_settings(searched->space, point);
        if (!take(overlays)) return;
      }
    }
    search_.tuned.push_back(std::move(tuned));
  }

  const SearchSettings& settings_;
  const std::vector<RowToTune>& rows_;
  Faults& faults_;
  std::vector<std::string> axes_;
  std::map<const RowToTune*, const RowToTune*> decides_;  // the searched row that decides about each; null: none
  Search search_;
};

// Whether two sources may draw from the same data: the same dataset, from the same files and folders.
bool share_data(const DataSource& one, const DataSource& other) {
  if (one.dataset.name != other.dataset.name) return false;
  return std::all_of(one.dataset.files.begin(), one.dataset.files.end(), [&](const auto& file) {
    const auto& options = other.dataset.options.values();
    const auto same = options.find(file.first);
    return same == options.end() || same->second == one.dataset.options.values().at(file.first);
  });
}

}  // namespace

Search tune(const SearchSettings& settings, const std::vector<std::string>& shared, const std::vector<RowToTune>& rows,
            Faults& faults) {
  return Tuning(settings, shared, rows, faults).tune();
}

void check_split(const SearchSettings& settings, const std::vector<Evaluation>& evaluations,
                 const std::vector<RowToTune>& rows, Faults& faults) {
  const auto own = std::find_if(evaluations.begin(), evaluations.end(),
                                [&](const Evaluation& each) { return each.name == settings.evaluation; });
  if (own == evaluations.end()) return;  // a fault already
  for (const Evaluation& evaluation : evaluations)
    if (evaluation.data.split == settings.split && share_data(evaluation.data, own->data))
      faults.add(settings.split_place,
                 fmt::format("search.split: \"{}\" is what evaluation \"{}\" measures the chosen settings on, which "
                             "must not have been chosen by it; another split of dataset \"{}\" is needed",
                             settings.split, evaluation.name, own->data.dataset.name));
  for (const RowToTune& row : rows) {
    std::vector<DataSource> sources = row.cell.train.parts;
    if (sources.empty()) sources = {row.cell.train};
    for (const DataSource& source : sources)
      if (source.split == settings.split && share_data(source, own->data))
        faults.add(settings.split_place,
                   fmt::format("search.split: \"{}\" is what row \"{}\" trains on; another split of "
                               "dataset \"{}\" is needed",
                               settings.split, row.name, own->data.dataset.name));
  }
}

}  // namespace silc
