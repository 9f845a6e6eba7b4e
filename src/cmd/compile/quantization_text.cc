#include "cmd/compile/quantization_text.h"

#include <fmt/format.h>

namespace coracle::cmd {
namespace {

double TopShare(const compile::QuantizationReport& report) {
  return static_cast<double>(report.top_agreeing.value_or(0)) /
         static_cast<double>(report.top_rows);
}

}  // namespace

Json QuantizationJson(const compile::QuantizationReport& report) {
  Json json = {{"inputs", report.input_count},
               {"layers", Json::array()},
               {"outputs", Json::array()},
               {"top1_agreement", report.top_agreeing ? Json(TopShare(report)) : Json()}};
  for (const compile::LayerError& layer : report.layers) {
    json["layers"].push_back({{"name", layer.name}, {"relative_error", layer.relative_rms}});
  }
  for (const compile::OutputError& output : report.outputs) {
    json["outputs"].push_back({{"name", output.name},
                               {"relative_error", output.relative_rms},
                               {"largest_error", output.relative_largest}});
  }
  return json;
}

std::string QuantizationTable(const compile::QuantizationReport& report) {
  std::string text = fmt::format("{:<48} {:>10}\n", "layer", "error");
  for (const compile::LayerError& layer : report.layers) {
    text += fmt::format("{:<48} {:>8.2f} %\n", layer.name, layer.relative_rms * 100);
  }
  for (const compile::OutputError& output : report.outputs) {
    text += fmt::format("output {:<41} {:>8.2f} % (at most {:.2f} % of the largest value)\n",
                        output.name, output.relative_rms * 100, output.relative_largest * 100);
  }
  text += fmt::format("{} input{}", report.input_count, report.input_count == 1 ? "" : "s");
  if (report.top_agreeing) {
    text += fmt::format("; the same top 1 in {} of {} ({:.1f} %)", *report.top_agreeing,
                        report.top_rows, TopShare(report) * 100);
  }
  return text + "\n";
}

}  // namespace coracle::cmd
