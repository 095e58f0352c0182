// An export as TensorBoard reads it: a folder a cell, named as its run folder, with one event file. An event file is a
// series of TFRecords (length, checksum of it, content, checksum of that), each of which holds an Event as protocol
// buffers write it. Of that format only four kinds of field are needed, which are below: libprotobuf with TensorBoard's
// definitions would bring a compiler and thousands of generated lines for them.
//
// Field numbers: tensorboard/compat/proto/{event,summary,tensor}.proto and
// tensorboard/plugins/hparams/plugin_data.proto.
#include <fmt/format.h>

#include <bit>
#include <boost/crc.hpp>
#include <cstring>
#include <limits>

#include "files/output_file.h"
#include "registry/exporter.h"

namespace silc {

namespace {

static_assert(std::endian::native == std::endian::little, "both formats are little-endian");

template <class Number>
void append_bytes(std::string& bytes, Number number) {
  char raw[sizeof(Number)];
  std::memcpy(raw, &number, sizeof(Number));
  bytes.append(raw, sizeof(Number));
}

// A message in the wire format of protocol buffers. Fields are written in the order of the calls.
class Message {
 public:
  Message& integer(uint32_t field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& real(uint32_t field, double value) {
    key(field, 1);
    append_bytes(bytes_, value);
    return *this;
  }
  Message& short_real(uint32_t field, float value) {
    key(field, 5);
    append_bytes(bytes_, value);
    return *this;
  }
  Message& text(uint32_t field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(uint32_t field, const Message& value) { return text(field, value.bytes_); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void key(uint32_t field, uint32_t wire_type) { varint(field << 3 | wire_type); }
  void varint(uint64_t value) {
    for (; value > 0x7f; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// CRC-32C, turned and shifted, as records within records would otherwise have checksums of checksums.
uint32_t masked_checksum(std::string_view data) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(data.data(), data.size());
  return std::rotr(static_cast<uint32_t>(crc.checksum()), 15) + 0xa282ead8;
}

// A plugin's name and what it keeps with a tag, as Summary.Value has them.
Message metadata(std::string_view plugin, const std::string& content) {
  Message data;
  data.text(1, plugin);
  if (!content.empty()) data.text(2, content);
  return Message().message(1, data);
}

// Summary.Value of a number.
Message scalar(const std::string& tag, double value) {
  return Message().text(1, tag).short_real(2, static_cast<float>(value));
}

// Summary.Value of a text, which TensorBoard shows as Markdown.
Message text(const std::string& tag, const std::string& markdown) {
  constexpr int64_t kString = 7;  // DataType
  constexpr int64_t kTensor = 2;  // DataClass
  const Message tensor = Message().integer(1, kString).message(2, Message()).text(8, markdown);
  Message about = metadata("text", "");
  about.integer(4, kTensor);
  return Message().text(1, tag).message(8, tensor).message(9, about);
}

// Summary.Value of a message to the plugin that shows settings; its tensor is empty.
Message for_hparams(const std::string& tag, const Message& content) {
  constexpr int64_t kFloat = 1;
  const Message tensor = Message().integer(1, kFloat).message(2, Message().message(2, Message()));
  return Message().text(1, tag).message(8, tensor).message(9, metadata("hparams", content.bytes()));
}

// google.protobuf.Value
Message value_of(const ExportedSetting& setting) {
  if (const auto* truth = std::get_if<bool>(&setting.value)) return Message().integer(4, *truth ? 1 : 0);
  if (const auto* number = std::get_if<double>(&setting.value)) return Message().real(2, *number);
  return Message().text(3, setting.text);
}

Message session_start(const ExportedCell& cell) {
  const PlannedCell& planned = cell.record.cell;
  Message start;
  const auto add = [&start](const std::string& name, const Message& value) {
    start.message(1, Message().text(1, name).message(2, value));
  };
  add("experiment", Message().text(3, cell.record.experiment));
  add("row", Message().text(3, planned.row));
  for (const ExportedSetting& setting : cell.settings) add(setting.name, value_of(setting));
  // Seeds of a row are one group, whose metrics TensorBoard averages.
  start.text(4, cell.record.experiment + "/" + planned.row).real(5, cell.start);
  return for_hparams("_hparams_/session_start_info", Message().message(3, start));
}

Message session_end(const ExportedCell& cell) {
  constexpr int64_t kUnknown = 0, kSuccess = 1, kFailure = 2, kRunning = 3;
  int64_t status = kUnknown;
  if (cell.record.state == CellState::finished) status = kSuccess;
  if (cell.record.state == CellState::failed) status = kFailure;
  if (cell.record.state == CellState::running) status = kRunning;
  Message end;
  end.integer(1, status);
  if (cell.end) end.real(2, *cell.end);
  return for_hparams("_hparams_/session_end_info", Message().message(4, end));
}

// How the cell stands, why it failed, and what training warned of.
std::string state_text(const ExportedCell& cell) {
  const CellRecord& record = cell.record;
  std::string markdown = fmt::format("**{}**", state_name(record.state));
  if (!record.message.empty()) markdown += ": " + record.message;
  for (const WarningRecord& warning : cell.warnings)
    markdown += fmt::format("\n\n- step {}: {}", warning.step, warning.message);
  for (const NotApplicableRecord& each : cell.not_applicable)
    markdown += fmt::format("\n\n- {} does not apply: {}", each.evaluator, each.reason);
  return markdown;
}

class EventFile {
 public:
  explicit EventFile(const std::filesystem::path& file) : file_(file) {}

  void version(double time) { record(Message().real(1, time).text(3, "brain.Event:2")); }

  void summary(double time, int64_t step, const std::vector<Message>& values) {
    Message summary;
    for (const Message& value : values) summary.message(1, value);
    record(Message().real(1, time).integer(2, step).message(5, summary));
  }

  void close() { file_.close(); }

 private:
  void record(const Message& event) {
    std::string length;
    append_bytes(length, static_cast<uint64_t>(event.bytes().size()));
    std::string checksum, content_checksum;
    append_bytes(checksum, masked_checksum(length));
    append_bytes(content_checksum, masked_checksum(event.bytes()));
    for (const std::string& part : {length, checksum, event.bytes(), content_checksum}) file_.write(part);
  }

  OutputFile file_;
};

class TensorboardExporter : public Exporter {
 public:
  explicit TensorboardExporter(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void begin(const PlannedExperiment&) override {}

  void add(const ExportedCell& cell) override {
    if (cell.record.state == CellState::planned) return;
    // The name says nothing but the order in which TensorBoard reads several files of a folder.
    EventFile file(folder_ / cell.record.cell.folder / fmt::format("events.out.tfevents.{:010.0f}.silc", cell.start));
    file.version(cell.start);
    file.summary(cell.start, 0, {session_start(cell)});
    int64_t last_step = 0;
    double last_time = cell.start;
    std::vector<Message> values;
    cell.each_step([&](const LoggedStep& step) {
      values.clear();
      for (const LoggedValue& value : step.values) values.push_back(scalar(step_tag(value.name), value.value));
      file.summary(step.wall_time, step.step, values);
      last_step = step.step;
      last_time = step.wall_time;
    });
    for (const AlongRecord& metric : cell.along)
      file.summary(cell.wall_time(metric.step, metric.seconds), metric.step,
                   {scalar(metric_tag(metric), metric.value)});
    const double end = cell.end.value_or(last_time);
    values.clear();
    for (const MetricRecord& metric : cell.metrics) values.push_back(scalar(metric_tag(metric), metric.value));
    values.push_back(text("state", state_text(cell)));
    values.push_back(session_end(cell));
    file.summary(end, last_step, values);
    file.close();
  }

  void finish() override {}

 private:
  std::filesystem::path folder_;
};

}  // namespace

std::unique_ptr<Exporter> make_tensorboard_exporter(const std::filesystem::path& folder) {
  return std::make_unique<TensorboardExporter>(folder);
}

}  // namespace silc
