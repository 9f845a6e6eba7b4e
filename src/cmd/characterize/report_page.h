// The findings as one HTML page that opens offline: what --report writes.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// `report`: the object that `coracle characterize --json` prints. The page
/// (cmd/support/html_page.h) shows what is there and leaves out the rest: of a program, of a sealed
/// model, of a run that was cut short, or a comparison of inputs. Its data are the report and
/// "knee_bytes" (characterize/advice/advice.h). When all is drawn, the attributes of <html> tell:
/// data-drawn="yes", data-errors, data-sections (ids, in order), data-charts, data-rows (of
/// tables). Throws: Json::exception if `report` is not such an object, as reading it by name does.
std::string CharacterizationPage(const Json& report);

}  // namespace coracle::cmd
