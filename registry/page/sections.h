// What the sections of a page have in common, and one function for each. A new section is a function here, a file of
// its own, and a line in make_page(); what its script and style need lies beside it as NAME.js and NAME.css. Inside
// registry/page only.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plot/figure.h"
#include "registry/gallery.h"
#include "registry/page/page.h"
#include "registry/report.h"

namespace silc {

// A row of the page's tables, with its cells.
struct PageRow {
  std::string name;  // as tables have it; unique; the attribute data-row of all that belongs to it
  std::string label;
  std::size_t style = 0;  // of plots
  bool baseline = false;
  const Registry* registry = nullptr;
  std::vector<CellRecord> cells;  // current ones, by seed
  // Of cells that start from others: these, first phase first; by the cell's folder.
  std::map<std::filesystem::path, std::vector<CellRecord>> earlier = {};
};

// Curves of one row: of each step metric one for every cell that has it.
struct RowCurves {
  std::map<std::string, std::vector<std::vector<plot::Point>>> seeds;
  std::map<std::string, std::vector<plot::Point>> means;  // over the points that all seeds have; of two seeds or more
};

// What a server's pages have in common, one after the other.
class PageCache {
 public:
  // Read again when the row has changed.
  std::shared_ptr<const RowCurves> curves(const PageRow& row);
  // Made again when it is of other cells: `cells` are those of `request`.
  std::shared_ptr<const Gallery> gallery(const std::string& cells, GalleryRequest request);

 private:
  std::map<std::string, std::pair<std::string, std::shared_ptr<const RowCurves>>> curves_;  // by row, with its state
  std::string gallery_cells_;
  std::shared_ptr<const Gallery> gallery_;
};

struct PageContext : std::enable_shared_from_this<PageContext> {
  PageRequest request;
  std::vector<PageRow> rows;                             // of all measured tables, each once
  std::vector<std::shared_ptr<const RowCurves>> curves;  // of the first kMostCurveRows of `rows`
  std::vector<Table> costs;                              // cost_tables(); without curves: none
  std::vector<PagePart> parts;                           // sections add theirs
  std::shared_ptr<PageCache> cache;                      // the request's, or one for this page alone

  [[nodiscard]] const PageRow* find(const std::string& name) const;
  [[nodiscard]] std::size_t style_of(const std::string& row) const;  // 1 for rows that are not known
};

std::shared_ptr<PageContext> gather(PageRequest request);
// The same without curves.
std::shared_ptr<PageContext> gather_rows(PageRequest request);

// A section for each table: the table itself, and its values as plots of intervals.
std::vector<PageSection> table_sections(PageContext& context);
PageSection curves_section(PageContext& context);
PageSection search_section(PageContext& context);
PageSection pictures_section(PageContext& context);
PageSection settings_section(PageContext& context);
PageSection cells_section(PageContext& context);

// One of several plots, chosen from a list: `choices` are pairs of a part's id and what the list calls it; the first is
// shown. `caption` is HTML.
struct Choice {
  std::string part;
  std::string label;
};
Html choice_of_plots(const std::string& id, const std::string& label, const std::vector<Choice>& choices,
                     const Html& shown, const Html& caption);

// ' name="value"', escaped.
std::string attribute(std::string_view name, std::string_view value);
// "<name>text</name>", escaped.
Html element(std::string_view name, std::string_view text);

// "loss", then its terms, then the others by name, with the figures of the machine last.
std::vector<std::string> ordered_step_metrics(const PageContext& context);
plot::CurvePlot learning_curves(const PageContext& context, const std::string& metric);

// Scores of a table's column, and of its rows against what they cost.
plot::IntervalPlot score_plot(const PageContext& context, const Table& table, std::size_t column);
// "95 % interval 58.5 to 64.1 over 3 seeds; +3.9 from the baseline, p = 0.012": what an entry's number rests on.
std::string detail_of(const std::string& column, const TableEntry& entry);

// A plot under the name that a file of it has.
struct NamedCurves {
  std::string name;
  std::string label;
  plot::CurvePlot plot;
};
// The tables of the page with costs in place of their columns: the same rows in the same order.
std::vector<Table> cost_tables(const PageRequest& request);
// Every metric of the table against every cost, where both are known of two rows or more.
std::vector<NamedCurves> cost_plots(const PageContext& context, const Table& table);

// What the searches of the page's experiments may have bought, and their trials by each setting.
std::vector<NamedCurves> search_plots(const PageContext& context);

}  // namespace silc
