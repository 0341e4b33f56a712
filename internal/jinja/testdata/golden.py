#!/usr/bin/env python3
"""Renders chat templates with Python's jinja2, set as Hugging Face's transformers sets it,
and writes what came out, for the tests to compare with.

    python3 golden.py goldens.json *.jinja            # the goldens of this folder, made with jinja2 3.1.6
    python3 golden.py other.json FILES...             # any templates: .jinja, or tokenizer_config.json

The second form is for templates that are no part of the repository; see TestOtherGoldens.
"""
import json, os, sys, glob, datetime, copy
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.ext import Extension
import jinja2.ext
class Gen(Extension):
    tags={"generation"}
    def parse(self, parser):
        lineno=next(parser.stream).lineno
        body=parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_g"),[],[],body).set_lineno(lineno)
    def _g(self, caller): return caller()
def env():
    def raise_exception(m): raise jinja2.exceptions.TemplateError(m)
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    def strftime_now(f): return datetime.datetime(2026,3,7,9,5,0).strftime(f)
    e=ImmutableSandboxedEnvironment(trim_blocks=True,lstrip_blocks=True,extensions=[Gen,jinja2.ext.loopcontrols])
    e.filters["tojson"]=tojson; e.globals["raise_exception"]=raise_exception; e.globals["strftime_now"]=strftime_now
    return e
tools=[{"type":"function","function":{"name":"get_weather","description":"Weather at a place <now> & \"later\"","parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},"unit":{"type":"string","enum":["C","F"],"default":"C"},"days":{"type":"array","items":{"type":"integer"},"description":"which days"}},"required":["city"]}}},
 {"type":"function","function":{"name":"add","description":"Adds","parameters":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}}}]
S={"role":"system","content":"You are terse. Antworte höflich."}
U1={"role":"user","content":"  Hello, who are you?\n"}
A1={"role":"assistant","content":"I am a model.\n\nAsk me 'things'."}
U2={"role":"user","content":"What is 2+2? 日本語 <b>"}
CALL={"role":"assistant","content":"","tool_calls":[{"id":"call12345","type":"function","function":{"name":"get_weather","arguments":{"city":"Köln","unit":"C","days":[1,2]}}}]}
RES={"role":"tool","name":"get_weather","tool_call_id":"call12345","content":"{\"temp\": 21.5}"}
R1={"role":"assistant","content":"Four.","reasoning_content":"Two and two\nmake four."}
T1={"role":"assistant","content":"<think>\nhmm\n</think>\n\nFour."}
cases={
 "user":dict(messages=[U1],add_generation_prompt=True),
 "system":dict(messages=[S,U1],add_generation_prompt=True),
 "multi":dict(messages=[S,U1,A1,U2],add_generation_prompt=True),
 "closed":dict(messages=[U1,A1],add_generation_prompt=False),
 "nosystem-multi":dict(messages=[U1,A1,U2],add_generation_prompt=True),
 "tools":dict(messages=[S,U1],tools=tools,add_generation_prompt=True),
 "tools-nosystem":dict(messages=[U1],tools=tools,add_generation_prompt=True),
 "calls":dict(messages=[S,U1,CALL,RES],tools=tools,add_generation_prompt=True),
 "calls-answer":dict(messages=[U1,CALL,RES,A1,U2],tools=tools,add_generation_prompt=True),
 "reasoning":dict(messages=[U1,R1,U2],add_generation_prompt=True),
 "reasoning-last":dict(messages=[U1,R1],add_generation_prompt=False),
 "think":dict(messages=[S,U1,T1,U2],add_generation_prompt=True),
 "thinking-on":dict(messages=[S,U1],enable_thinking=True,thinking=True,add_generation_prompt=True),
 "thinking-off":dict(messages=[S,U1],enable_thinking=False,thinking=False,add_generation_prompt=True),
 "parts":dict(messages=[{"role":"user","content":[{"type":"text","text":"One part."},{"type":"text","text":"Another."}]}],add_generation_prompt=True),
}
CALLS=copy.deepcopy(CALL); CALLS["tool_calls"][0]["function"]["arguments"]=json.dumps(CALL["tool_calls"][0]["function"]["arguments"])
cases["calls-string"]=dict(messages=[U1,CALLS,RES],tools=tools,add_generation_prompt=True)
CN=copy.deepcopy(CALL); CN["content"]=None
cases["calls-null"]=dict(messages=[U1,CN,RES],tools=tools,add_generation_prompt=True)
SNIPPETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "snippets.txt")
snippet_vars = dict(
    text="Hello, World", padded="  a b\tc \n", empty="", n=7, neg=-3, f=2.5, yes=True, no=False, none=None,
    items=["b", "a", "C", "a"], nums=[3, 1, 2], nested=[{"k": "x", "v": 1}, {"k": "y", "v": 2}, {"k": "x", "v": 3}],
    d={"b": 1, "a": [1, 2.0, None, True], "c": {"x": "<&>'\""}}, uni="naïve 日本 \U0001f600 \u0301", lines="one\n\ntwo\r\nthree")


def render(source, variables):
    try:
        template = env().from_string(source)
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"
    try:
        return template.render(**copy.deepcopy(variables)), None
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"


def main():
    sources = {}
    for pattern in sys.argv[2:]:
        for path in sorted(glob.glob(pattern)):
            if not path.endswith(".json"):
                sources[os.path.basename(path)] = open(path, newline="").read()
                continue
            config = json.load(open(path)).get("chat_template")
            if isinstance(config, str):
                config = [{"name": "default", "template": config}]
            for c in config or []:
                sources[path.split("/")[-3] + " " + c["name"]] = c["template"]
    for v in cases.values():
        for name in ("tools", "documents"):
            v.setdefault(name, None)
        v.update(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    out = dict(jinja2=jinja2.__version__, cases=cases, templates=[], snippet_vars=snippet_vars, snippets=[])
    for name, source in sources.items():
        row = dict(name=name, source=source, out={}, error={})
        for case, variables in cases.items():
            text, error = render(source, variables)
            row["out" if error is None else "error"][case] = text if error is None else error
        out["templates"].append(row)
    for source in open(SNIPPETS).read().split("\n----\n"):
        text, error = render(source.rstrip("\n"), snippet_vars)
        out["snippets"].append(dict(source=source.rstrip("\n"), out=text, error=error))
    json.dump(out, open(sys.argv[1], "w"), ensure_ascii=False, indent=1)
    print(len(sources), "templates,", sum(len(t["out"]) for t in out["templates"]), "rendered,", len(out["snippets"]), "snippets")


main()
