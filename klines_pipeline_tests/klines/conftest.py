"""How properties are checked stands in `properties`."""

import klines_pipeline_tests.domain.properties  # noqa: F401 - loads the profile
