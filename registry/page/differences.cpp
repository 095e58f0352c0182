// What each row's settings have in the place of the baseline's.
#include <fmt/format.h>

#include <algorithm>

#include "files/run_folder.h"
#include "registry/page/sections.h"
#include "registry/settings.h"
#include "silc/error.h"
#include "text/markup.h"

namespace silc {

namespace {

constexpr std::size_t kMostRows = 60;

// Of the row's first cell that was started; empty if none was.
std::map<std::string, std::string> settings_of(const PageRow& row) {
  for (const CellRecord& record : row.cells) try {
      const RunFolder folder{row.registry->runs() / record.cell.folder};
      if (std::filesystem::exists(folder.cell())) return settings_of_cell(folder.path);
    } catch (const Error&) {
      // Damaged, or a phase is gone: the next seed's are the same.
    }
  return {};
}

Html value_of(const std::string& value) {
  return value.empty() ? "<span class=\"none\">none</span>" : element("code", value);
}

}  // namespace

PageSection settings_section(PageContext& context) {
  PageSection section{"settings", "What rows differ in", {}};
  const auto baseline = std::ranges::find(context.rows, true, &PageRow::baseline);
  if (baseline == context.rows.end()) return section;
  const std::map<std::string, std::string> own = settings_of(*baseline);
  if (own.empty()) return section;
  Html rows;
  std::size_t shown = 0;
  for (const PageRow& row : context.rows) {
    if (row.baseline || shown == kMostRows) continue;
    const std::map<std::string, std::string> settings = settings_of(row);
    if (settings.empty()) continue;
    ++shown;
    const std::vector<SettingDifference> found = differences({own, settings});
    const std::size_t height = std::max<std::size_t>(found.size(), 1);
    for (std::size_t i = 0; i < height; ++i) {
      rows += fmt::format("<tr{}>", attribute("data-row", row.name));
      if (i == 0)
        rows += fmt::format("<th scope=\"row\" rowspan=\"{}\">{}<span>{}</span></th>", height,
                            plot::draw_key(row.style), escape_markup(row.label));
      rows += found.empty() ? "<td colspan=\"3\">the same settings</td>"
                            : fmt::format("<td>{}</td><td>{}</td><td>{}</td>", element("code", found[i].setting),
                                          value_of(found[i].values[0]), value_of(found[i].values[1]));
      rows += "</tr>\n";
    }
  }
  if (rows.empty()) return section;
  section.html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Settings\"><table "
      "class=\"settings\"><thead><tr>"
      "<th scope=\"col\" class=\"name\">row</th><th scope=\"col\" class=\"name\">setting</th>"
      "<th scope=\"col\" class=\"name\">{}</th><th scope=\"col\" class=\"name\">the row's</th></tr></thead><tbody>\n{}"
      "</tbody></table></div>\n",
      escape_markup(baseline->label), rows);
  if (context.rows.size() > kMostRows + 1)
    section.html += element("p", fmt::format("The first {} rows; silc diff ROW ROW compares any two.", kMostRows));
  return section;
}

}  // namespace silc
