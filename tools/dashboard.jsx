// Draws the Grafana dashboard of a service with Grafana's own components, from what Prometheus has answered.
import { createTheme, dateTime, FieldType, getDisplayProcessor, ThemeContext, toDataFrame } from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

const COLUMNS = 24;
const ROW = 38;
const GAP = 8;

const { dashboard } = window;
const theme = createTheme({ colors: { mode: 'light' } });
const span = { from: dateTime(dashboard.time.from), to: dateTime(dashboard.time.to) };
const range = { ...span, raw: span };

/** Returns what a panel shows: a frame with the times and the values of each series. */
function frames({ fieldConfig, targets }) {
  const series = targets.flatMap(({ legendFormat, result }) =>
    result.map(({ metric, values }) => ({
      name: legendFormat === '__auto' ? Object.values(metric).join(' ') : legendFormat,
      values: values.map(([, value]) => Number(value)),
      times: values.map(([seconds]) => seconds * 1000),
    })),
  );
  return series.map(({ name, values, times }, seriesIndex) => {
    const config = {
      color: { mode: 'palette-classic' },
      custom: { drawStyle: 'line', lineWidth: 1, showPoints: 'never', spanNulls: true },
      displayName: name,
      ...fieldConfig.defaults,
    };
    const frame = toDataFrame({
      fields: [
        { name: 'Time', type: FieldType.time, values: times },
        { name, type: FieldType.number, values, config },
      ],
    });
    const [min, max] = [Math.min(...values), Math.max(...values)];
    for (const field of frame.fields) {
      field.state = { seriesIndex, range: { min, max, delta: max - min } };
      field.display = getDisplayProcessor({ field, theme });
    }
    return frame;
  });
}

function Stat({ panel, width, height }) {
  const [{ fields: [x, y] }] = frames(panel);
  const textMode = panel.options?.textMode ?? 'auto';
  return (
    <BigValue
      colorMode="value"
      graphMode="area"
      height={height}
      sparkline={textMode === 'auto' ? { x, y } : undefined}
      textMode={textMode}
      theme={theme}
      value={{ ...y.display(y.values.at(-1)), title: y.config.displayName }}
      width={width}
    />
  );
}

/** The only kind that no package of Grafana holds. */
function StateTimeline({ panel }) {
  return frames(panel).map(({ fields: [, field] }) => (
    <div key={field.name} style={{ alignItems: 'center', display: 'flex', marginBottom: GAP }}>
      <span style={{ paddingRight: GAP, textAlign: 'right', width: 80 }}>{field.name}</span>
      {field.values.map((value, index) => (
        <span key={index} style={{ background: field.display(value).color, flex: 1, height: 32, opacity: 0.8 }} />
      ))}
    </div>
  ));
}

function Lines({ panel, width, height }) {
  return (
    <TimeSeries
      frames={frames(panel)}
      height={height}
      legend={{ calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true }}
      timeRange={range}
      timeZone="utc"
      width={width}
    />
  );
}

const KINDS = { stat: Stat, 'state-timeline': StateTimeline, timeseries: Lines };

function Panel({ panel }) {
  const Kind = KINDS[panel.type];
  const column = document.body.clientWidth / COLUMNS;
  const { x, y, w, h } = panel.gridPos;
  return (
    <div style={{ left: x * column, position: 'absolute', top: y * ROW }}>
      <PanelChrome height={h * ROW - GAP} title={panel.title} width={w * column - GAP}>
        {(width, height) => <Kind height={height} panel={panel} width={width} />}
      </PanelChrome>
    </div>
  );
}

createRoot(document.body).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    {dashboard.panels.map((panel) => <Panel key={panel.title} panel={panel} />)}
  </ThemeContext.Provider>,
);
