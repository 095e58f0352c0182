// What the models see: a place that the script (gallery.js) fills from a part, once a reader comes near it.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "files/run_folder.h"
#include "registry/gallery.h"
#include "registry/page/sections.h"
#include "text/markup.h"

namespace silc {

namespace {

constexpr const char* kPart = "pictures:data";

GalleryRequest request_of(const PageContext& context) {
  std::map<std::string, std::string> weights;
  for (const Table& table : context.request.tables)
    for (const TableRow& row : table.rows)
      if (!table.published) weights.try_emplace(row.name, row.weights);
  GalleryRequest request{.cells = {}, .baseline = "", .words = context.request.words};
  for (const PageRow& row : context.rows) {
    if (row.baseline) request.baseline = row.name;
    for (const CellRecord& record : row.cells) {
      if (record.state != CellState::finished) continue;
      const std::string& own = weights[row.name];
      request.cells.push_back({.row = row.name,
                               .seed = record.cell.seed,
                               .folder = row.registry->runs() / record.cell.folder,
                               .weights = own.empty() ? "student" : own,
                               .label = row.label});
    }
  }
  return request;
}

// JSON in which nothing can be taken for markup.
Html data_of(const nlohmann::json& page) {
  const std::string text = page.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Html html;
  html.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      html += "\\u003c";
    else if (c == '&')
      html += "\\u0026";
    else
      html += c;
  }
  return html;
}

}  // namespace

GalleryRequest gallery_request(const PageRequest& request) { return request_of(*gather_rows(request)); }

PageSection pictures_section(PageContext& context) {
  PageSection section{"pictures", "What the models see", {}};
  GalleryRequest request = request_of(context);
  // With the cells that it is of, so that a server's page knows when there are more.
  std::string cells;
  for (const GalleryCell& cell : request.cells) cells += cell.folder.filename().string() + " ";
  const std::shared_ptr<const Gallery> gallery = context.cache->gallery(cells, std::move(request));
  if (!gallery->has_scores()) return section;
  section.html = fmt::format(
      "<div id=\"gallery\"{}{}><noscript>Pictures are drawn by the page's script, which does not run here.</noscript>"
      "<p class=\"none\">Pictures are on their way …</p></div>\n",
      attribute("data-gallery", kPart), attribute("data-cells", cells));
  context.parts.push_back({kPart, [gallery, context = context.shared_from_this()] {
                             return data_of(gallery->page(context->request.faults));
                           }});
  return section;
}

}  // namespace silc
