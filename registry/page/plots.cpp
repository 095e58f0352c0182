// The plots of a page as files.
#include <fmt/format.h>

#include <filesystem>

#include "files/durable_file.h"
#include "registry/columns.h"
#include "registry/page/sections.h"
#include "silc/error.h"

namespace silc {

namespace {

// "ablation-components-acc1": letters, digits and points; all else a hyphen.
std::string file_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '@' || c == '_';
    if (plain)
      name += c;
    else if (!name.empty() && !name.ends_with('-'))
      name += '-';
  }
  while (name.ends_with('-')) name.pop_back();
  return name.starts_with('.') ? "plot" + name : name;
}

}  // namespace

std::vector<std::string> write_plots(const PageRequest& request, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error("cannot make the folder " + folder.string() + ": " + error.message());
  const std::shared_ptr<const PageContext> shared = gather(request);
  const PageContext& context = *shared;
  std::vector<std::string> names;
  const auto write = [&](const std::string& name, const auto& plot) {
    for (const auto& [suffix, layout] :
         {std::pair{"one-column", plot::one_column()}, std::pair{"two-columns", plot::two_columns()}}) {
      names.push_back(fmt::format("{}-{}.svg", file_name(name), suffix));
      write_file_durably(folder / names.back(), plot::draw(plot, layout) + "\n");
    }
  };
  for (const Table& table : request.tables) {
    if (table.published) continue;
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      write(table.name + "-" + table.columns[column], score_plot(context, table, column));
    for (const NamedCurves& each : cost_plots(context, table)) write(table.name + "-" + each.name, each.plot);
  }
  for (const std::string& metric : ordered_step_metrics(context))
    write("curves-" + metric, learning_curves(context, metric));
  for (const NamedCurves& each : search_plots(context)) write("search-" + each.name, each.plot);
  return names;
}

}  // namespace silc
