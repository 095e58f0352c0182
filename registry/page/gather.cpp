// The rows of a page, their cells, and the cells' curves.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "registry/page/sections.h"

namespace silc {

namespace {

// Figures of training that say how far it is: they are what others are shown against.
const std::set<std::string, std::less<>> kPositions = {"examples", "flops", "fraction", "core_seconds", "seconds"};

// The phases that a cell starts from, first phase first; where one is not known, those after it.
std::vector<CellRecord> earlier_phases(const CellRecord& cell,
                                       const std::map<std::filesystem::path, CellRecord>& known) {
  std::vector<CellRecord> phases;
  for (auto before = known.find(cell.start); before != known.end() && phases.size() < known.size();
       before = known.find(before->second.start))
    phases.insert(phases.begin(), before->second);
  return phases;
}

// Cells by the names that tables have for their rows.
std::map<std::string, PageRow> rows_with_cells(const PageRequest& request) {
  std::map<std::string, PageRow> rows;
  for (const ExperimentSource& source : request.sources) {
    std::set<std::pair<std::string, int64_t>> planned;
    for (const PlannedCell& cell : source.experiment.cells) planned.emplace(cell.row, cell.seed);
    std::map<std::filesystem::path, CellRecord> known;
    const std::vector<CellRecord> records = source.registry->cells(source.experiment.name);
    for (const CellRecord& record : records) known.emplace(record.cell.folder, record);
    for (const CellRecord& record : records) {
      if (!record.current || !planned.contains({record.cell.row, record.cell.seed})) continue;
      const std::string name = request.sources.size() == 1 ? record.cell.row : source.label + "/" + record.cell.row;
      PageRow& row = rows[name];
      row.name = name;
      row.registry = source.registry;
      if (auto phases = earlier_phases(record, known); !phases.empty())
        row.earlier.emplace(record.cell.folder, std::move(phases));
      row.cells.push_back(record);
    }
  }
  for (auto& [name, row] : rows)
    std::ranges::stable_sort(row.cells, {}, [](const CellRecord& record) { return record.cell.seed; });
  return rows;
}

using CurvesByMetric = std::map<std::string, std::vector<plot::Point>>;

// Adds a phase, against the examples that training had seen: from `before` on. Returns how many it ends with.
double add_curves_of(const Registry& registry, const CellRecord& phase, double before, CurvesByMetric& curves) {
  std::map<std::string, std::vector<plot::Point>, std::less<>> by_step;
  std::map<int64_t, double> examples;
  registry.each_step_metric(phase, [&](int64_t step, std::string_view name, double value) {
    if (name == "examples") examples[step] = before + value;
    if (kPositions.contains(name)) return;
    auto curve = by_step.find(name);
    if (curve == by_step.end()) curve = by_step.emplace(name, std::vector<plot::Point>{}).first;
    curve->second.push_back({static_cast<double>(step), value});
  });
  for (const auto& [name, points] : by_step)
    for (const plot::Point& point : points)
      if (const auto seen = examples.find(static_cast<int64_t>(point.x)); seen != examples.end())
        curves[name].push_back({seen->second, point.y});
  return examples.empty() ? before : examples.rbegin()->second;
}

// Of all phases, one after the other.
CurvesByMetric curves_of(const PageRow& row, const CellRecord& record) {
  CurvesByMetric curves;
  double examples = 0;
  if (const auto earlier = row.earlier.find(record.cell.folder); earlier != row.earlier.end())
    for (const CellRecord& phase : earlier->second) examples = add_curves_of(*row.registry, phase, examples, curves);
  add_curves_of(*row.registry, record, examples, curves);
  return curves;
}

// The mean at the points that all curves have.
std::vector<plot::Point> mean_of(const std::vector<std::vector<plot::Point>>& curves) {
  std::map<double, std::pair<double, std::size_t>> sums;
  for (const auto& curve : curves)
    for (const plot::Point& point : curve) {
      auto& [sum, count] = sums[point.x];
      sum += point.y;
      ++count;
    }
  std::vector<plot::Point> means;
  for (const auto& [x, sum] : sums)
    if (sum.second == curves.size()) means.push_back({x, sum.first / static_cast<double>(sum.second)});
  return means;
}

RowCurves row_curves(const PageRow& row) {
  // More than can be seen; what is drawn is thinned again, to what there is room for.
  constexpr std::size_t kKept = 400;
  RowCurves all;
  for (const CellRecord& record : row.cells) {
    if (record.state == CellState::planned) continue;
    for (auto& [metric, points] : curves_of(row, record)) all.seeds[metric].push_back(std::move(points));
  }
  for (auto& [metric, curves] : all.seeds) {
    if (curves.size() > 1)
      if (std::vector<plot::Point> mean = mean_of(curves); mean.size() > 1)
        all.means[metric] = plot::thinned(mean, kKept);
    for (auto& curve : curves) curve = plot::thinned(curve, kKept);
  }
  return all;
}

// Changes with the row's curves.
std::string state_of(const PageRow& row) {
  std::string state;
  for (const CellRecord& record : row.cells) {
    const auto progress = row.registry->progress(record);
    state += fmt::format("{}:{}:{};", record.cell.folder.generic_string(), static_cast<int>(record.state),
                         progress ? progress->step : -1);
  }
  return state;
}

}  // namespace

std::shared_ptr<const RowCurves> PageCache::curves(const PageRow& row) {
  auto& [state, curves] = curves_[row.name];
  if (std::string now = state_of(row); curves == nullptr || now != state) {
    curves = std::make_shared<const RowCurves>(row_curves(row));
    state = std::move(now);
  }
  return curves;
}

std::shared_ptr<const Gallery> PageCache::gallery(const std::string& cells, GalleryRequest request) {
  if (gallery_ == nullptr || cells != gallery_cells_) {
    gallery_ = std::make_shared<const Gallery>(std::move(request));
    gallery_cells_ = cells;
  }
  return gallery_;
}

std::shared_ptr<PageCache> make_page_cache() { return std::make_shared<PageCache>(); }

const PageRow* PageContext::find(const std::string& name) const {
  const auto row = std::ranges::find(rows, name, &PageRow::name);
  return row == rows.end() ? nullptr : &*row;
}

std::size_t PageContext::style_of(const std::string& row) const {
  const PageRow* found = find(row);
  return found == nullptr ? 1 : found->style;
}

std::shared_ptr<PageContext> gather_rows(PageRequest request) {
  auto context = std::make_shared<PageContext>();
  context->request = std::move(request);
  context->cache = context->request.cache == nullptr ? make_page_cache() : context->request.cache;
  std::map<std::string, PageRow> known = rows_with_cells(context->request);
  std::size_t style = 0;
  bool ink_taken = false;
  std::set<std::string> taken;
  for (const Table& table : context->request.tables) {
    if (table.published) continue;
    for (const TableRow& table_row : table.rows) {
      if (!taken.insert(table_row.name).second) continue;
      PageRow row = known[table_row.name];
      row.name = table_row.name;
      row.label = table_row.label.empty() ? table_row.name : table_row.label;
      row.baseline = table_row.baseline;
      // Ink is for one row: with a baseline for each table, the later ones have colours as all others.
      row.style = row.baseline && !std::exchange(ink_taken, true) ? 0 : ++style;
      context->rows.push_back(std::move(row));
    }
  }
  return context;
}

std::shared_ptr<PageContext> gather(PageRequest request) {
  std::shared_ptr<PageContext> context = gather_rows(std::move(request));
  context->costs = cost_tables(context->request);
  for (std::size_t i = 0; i < std::min(context->rows.size(), kMostCurveRows); ++i)
    context->curves.push_back(context->cache->curves(context->rows[i]));
  return context;
}

}  // namespace silc
