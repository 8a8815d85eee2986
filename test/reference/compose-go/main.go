// Resolves compose projects with compose-go, the library with which Docker Compose reads them.
//
// Standard input: one JSON request per line. Standard output: one JSON answer per line, in the same order.
// Nothing of this program's own environment reaches a project: variables come from the project's .env alone.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

type request struct {
	Folder   string   `json:"folder"`
	Files    []string `json:"files"`
	Profiles []string `json:"profiles"`
}

type answer struct {
	Error   string         `json:"error,omitempty"`
	Project *types.Project `json:"project,omitempty"`
}

func load(r request) (project *types.Project, err error) {
	// A panic of the library is its refusal of that one input, not the end of the run.
	defer func() {
		if why := recover(); why != nil {
			project, err = nil, fmt.Errorf("panic: %v", why)
		}
	}()
	// As a user who runs Docker Compose in the folder.
	if err := os.Chdir(r.Folder); err != nil {
		return nil, err
	}
	options, err := cli.NewProjectOptions(
		r.Files,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath,
		cli.WithDefaultProfiles(r.Profiles...),
		cli.WithLoadOptions(func(o *loader.Options) {
			if _, found := o.GetProjectName(); !found {
				o.SetProjectName("reference", false)
			}
		}),
	)
	if err != nil {
		return nil, err
	}
	project, err = options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	for _, service := range project.Services {
		// It cannot be written as JSON; stackwarden refuses it by policy.
		if service.Build != nil {
			service.Build.SSH = nil
		}
	}
	return project, nil
}

func main() {
	logrus.SetOutput(io.Discard)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var r request
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			a.Error = err.Error()
		} else if project, err := load(r); err != nil {
			a.Error = err.Error()
		} else {
			a.Project = project
		}
		if err := out.Encode(a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
