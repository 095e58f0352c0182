#include "files/run_folder.h"

#include <string_view>

#include "silc/error.h"

namespace silc {

std::vector<Event> read_events(const std::filesystem::path& file, uint64_t& offset) {
  std::vector<Event> events;
  if (!std::filesystem::exists(file)) return events;
  const std::string content = read_file(file, offset);
  std::string_view rest = content;
  uint64_t position = offset;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    Event event = Event::parse(rest.substr(0, end), nullptr, false);
    if (!event.is_object())
      throw Error(file.string() + ": the line at byte " + std::to_string(position) +
                  " is not a JSON object; the file is damaged: remove that line, or run the cell again with --fresh");
    events.push_back(std::move(event));
    rest.remove_prefix(end + 1);
    position += end + 1;
  }
  offset = position;
  return events;
}

}  // namespace silc
