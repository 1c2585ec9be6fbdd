"""Series of times: zones, periods, offsets, windows, gaps, intervals, hierarchies, and joins by the nearest time."""

import numpy as np
import pandas as pd

pd.set_option("display.width", 140)
made = np.random.default_rng(19)
index = pd.date_range("2023-11-01", "2024-03-01", freq="6h", tz="UTC")
series = pd.Series(made.normal(0, 1, len(index)).cumsum().round(6), index, name="level")
series = series[made.random(len(index)) > 0.15]
print(len(series), series.index[[0, -1]].tolist(), series.index.is_monotonic_increasing, series.index.inferred_freq)
daily = series.resample("D").ohlc()
print(daily.iloc[::25], daily.isna().sum().to_dict())
filled = series.asfreq("6h")
print(filled.interpolate("time").iloc[:4].tolist(), filled.ffill(limit=1).isna().sum(), filled.bfill().iloc[0])
print(
    series.rolling("2D").mean().iloc[[5, 99]].tolist(),
    series.rolling(9, center=True).std().iloc[50],
    series.expanding().max().iloc[-1],
)
print(
    series.ewm(halflife="3D", times=series.index).mean().iloc[-1], series.rolling(5, win_type="triang").sum().iloc[40]
)
print(
    series.rolling(7).apply(lambda part: (part > 0).mean(), raw=True).iloc[100],
    series.rolling(20).corr(series.shift(1)).iloc[60],
)
print(series.groupby([series.index.month_name(), series.index.hour]).mean().unstack().round(4))
print(
    series.between_time("05:00", "13:00").count(),
    series.at_time("18:00").mean(),
    series.loc["2024-02"].sum(),
    series.truncate(pd.Timestamp("2024-02-25", tz="UTC")).size,
)
fixed = series.tz_convert("+05:00")
print(fixed.index[0], fixed.index.tz, series.tz_localize(None).index.dtype.kind, series.index.normalize().nunique())
offsets = pd.offsets
start = pd.Timestamp("2024-02-28 15:30")
for step in (
    offsets.BDay(3),
    offsets.MonthEnd(),
    offsets.QuarterBegin(startingMonth=1),
    offsets.Week(weekday=4),
    offsets.CustomBusinessDay(holidays=["2024-02-29"]),
    offsets.BusinessHour(4),
    offsets.DateOffset(months=1, days=-1),
    offsets.YearEnd(month=6),
    offsets.WeekOfMonth(week=1, weekday=2),
):
    print(type(step).__name__, start + step, step.rollback(start))
periods = pd.period_range("2023Q3", periods=5, freq="Q-JAN")
print(
    periods,
    periods.to_timestamp()[1],
    periods[0].asfreq("M", "end"),
    periods[-1] - periods[0],
    pd.Period("2024-02", "M").days_in_month,
)
print(
    pd.date_range("2024-01-31", periods=4, freq="ME").strftime("%d.%m.").tolist(),
    pd.bdate_range("2024-02-28", periods=3).day_name().tolist(),
)
deltas = pd.to_timedelta(["1 days 02:03:04.000005", "-5 min", "2W", "P1DT2H"])
print(deltas.components.loc[0].tolist(), deltas.total_seconds().tolist(), deltas.round("h"), abs(deltas).min())
print(
    pd.to_datetime(["2024-02-29", "nonsense", None], errors="coerce").isna(),
    pd.to_datetime([1e9, 1.5e9], unit="s").tolist(),
)
print(pd.to_datetime(pd.DataFrame({"year": [2024, 2023], "month": [2, 12], "day": [29, 31]})).tolist())
for bad in ("2024-02-30", "31/12/99999", "x"):
    try:
        pd.Timestamp(bad)
    except ValueError as error:
        print(type(error).__name__, str(error)[:60])
trades = pd.DataFrame(
    {"time": series.index[::9] + pd.Timedelta("7min"), "size": made.integers(1, 9, len(series.index[::9]))}
)
near = pd.merge_asof(
    trades, series.rename_axis("time").reset_index(), on="time", direction="backward", tolerance=pd.Timedelta("1h")
)
print(near["level"].notna().sum(), (near["level"] * near["size"]).sum().round(5), near.tail(2).to_string(header=False))
print(pd.merge_ordered(trades.head(3), trades.iloc[2:4], on="time", suffixes=("_a", "_b")).shape)
spans = pd.IntervalIndex.from_breaks(pd.date_range("2023-11-01", "2024-03-02", periods=5, tz="UTC"), closed="left")
print(spans.get_indexer(series.index[[0, 100, -1]]), spans.mid[1], pd.cut(series.index, spans).value_counts().tolist())
print(pd.Interval(0, 5).overlaps(pd.Interval(5, 6)), pd.interval_range(0, 1, 4).length.tolist(), spans.is_overlapping)
many = pd.DataFrame(
    made.integers(0, 99, (12, 3)),
    index=pd.MultiIndex.from_product([["a", "b"], [1, 2, 3], ["x", "y"]], names=["k", "n", "z"]),
    columns=list("PQR"),
)
print(
    many.xs(2, level="n"),
    many.loc[("b", slice(2, 3)), "Q"].tolist(),
    many.groupby(level=["k", "z"]).sum().to_dict("index"),
)
print(
    many.swaplevel("k", "z").sort_index().loc["y"].head(2),
    many.unstack("n").shape,
    many.stack().groupby(level=3).max().tolist(),
)
print(
    many.reorder_levels([2, 0, 1]).index[0],
    many.rename(index={"a": "A"}, level="k").index.levels[0].tolist(),
    many.index.get_loc(("b", 1, "x")),
)
print(
    many.agg({"P": ["min", "max"], "Q": "sum"}).fillna(-1).to_dict(),
    many.sub(many.mean(axis=1), axis=0).round(3).iloc[0].tolist(),
)
print(
    many.shape,
    many.where(many > 50).count().tolist(),
    many.clip(20, 60).sum().tolist(),
    many.mask(many % 2 == 0, -1).iloc[3].tolist(),
)
print(
    series.autocorr(3),
    series.diff().abs().idxmax(),
    series.nsmallest(2).index.tolist(),
    series.sample(3, random_state=1).tolist(),
)
print(
    series.to_frame()
    .assign(day=series.index.dayofyear, week=series.index.isocalendar().week.to_numpy())
    .groupby("week")["level"]
    .last()
    .round(3)
    .head(5)
    .to_dict()
)
