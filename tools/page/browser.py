# SPDX-License-Identifier: MIT
"""Headless Chromium by way of chromedriver: the few commands that are needed."""
import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

KEYS = {"left": "\ue012", "right": "\ue014", "home": "\ue011", "end": "\ue010"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A browser with one window, until end() is called."""

    def __init__(self, scratch):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True
        )
        self.base = None
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                self.base = "http://127.0.0.1:%s/session" % found.group(1)
                break
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1400,1000",
            "--user-data-dir=" + os.path.join(scratch, "profile"),
        ]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self.send("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/" + made["sessionId"]

    def send(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("Content-Type", "application/json")
        content = json.dumps(body or {}).encode() if method == "POST" else None
        try:
            with urllib.request.urlopen(request, content, 60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def run(self, script, *arguments):
        body = {"script": script, "args": list(arguments)}
        return self.send("POST", "/execute/sync", body)

    def find(self, css):
        body = {"using": "css selector", "value": css}
        return self.send("POST", "/element", body)[ELEMENT]

    def keys(self, css, text):
        self.send("POST", "/element/%s/value" % self.find(css), {"text": text})

    def pointer(self, actions):
        pointer = {
            "type": "pointer",
            "id": "mouse",
            "parameters": {"pointerType": "mouse"},
            "actions": actions,
        }
        self.send("POST", "/actions", {"actions": [pointer]})

    def point(self, x, y, click=False):
        actions = [{"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}]
        if click:
            actions.append({"type": "pointerDown", "button": 0})
            actions.append({"type": "pointerUp", "button": 0})
        self.pointer(actions)

    def resize(self, width, height):
        """Sets the size of what a page is laid out in, whatever the screen."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        body = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self.send("POST", "/goog/cdp/execute", body)

    def picture(self, css, name):
        """Saves what an element looks like as a PNG file."""
        image = self.send("GET", "/element/%s/screenshot" % self.find(css))
        with open(name, "wb") as file:
            file.write(base64.b64decode(image))

    def end(self):
        try:
            self.send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
