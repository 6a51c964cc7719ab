// A plain controller-runtime operator for AgbSessions, as the kubebuilder book teaches it: one reconcile per change,
// and another look at the session every two seconds while it moves. It serves as a baseline for the benchmarks and does
// what they need of one: pause, resume and report. It is a fair one: no client-side rate limit, connections are kept,
// and a pass that changes nothing writes nothing.
package main

import (
	"flag"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

func main() {
	resync := flag.Duration("resync", time.Minute, "time between two looks at a settled session")
	poll := flag.Duration("poll", 2*time.Second, "time between two looks at a moving session")
	workers := flag.Int("workers", 32, "sessions worked on at the same time")
	generations := flag.Bool("generations", false, "ignore events that change no spec, such as the own status writes")
	flag.Parse()
	ctrl.SetLogger(zap.New())

	scheme := runtime.NewScheme()
	version := schema.GroupVersion{Group: "agb.cloud", Version: "v1alpha1"}
	scheme.AddKnownTypeWithName(version.WithKind("AgbSession"), &AgbSession{})
	scheme.AddKnownTypeWithName(version.WithKind("AgbSessionList"), &AgbSessionList{})
	metav1.AddToGroupVersion(scheme, version)

	config := ctrl.GetConfigOrDie()
	config.QPS = -1
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metrics.Options{BindAddress: "0"}})
	exitOn(err)
	var options []builder.ForOption
	if *generations {
		options = append(options, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	}
	err = ctrl.NewControllerManagedBy(manager).
		For(&AgbSession{}, options...).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&Reconciler{
			Client: manager.GetClient(),
			agb:    NewAGB(os.Getenv("AGB_ENDPOINT"), os.Getenv("AGB_API_KEY"), *workers),
			poll:   *poll,
			resync: *resync,
		})
	exitOn(err)
	exitOn(manager.Start(ctrl.SetupSignalHandler()))
}

func exitOn(err error) {
	if err != nil {
		ctrl.Log.Error(err, "cannot go on")
		os.Exit(1)
	}
}
